"""How an answer under /videos/ is labelled: caching, tags, types. Pure.

Files of a revision never change, so they are immutable; the folder's own names (master.m3u8, 360p.m3u8, poster.webp)
stand for the current revision and live shortly. A master also changes within its revision until the last rung is there.
"""

from __future__ import annotations

from origin.lifecycle.states import is_open
from origin.lifecycle.video import Video

_TYPES = {
    "m3u8": "application/vnd.apple.mpegurl",
    "mp4": "video/mp4",
    "m4s": "video/iso.segment",
    "webp": "image/webp",
    "jpg": "image/jpeg",
    "vtt": "text/vtt; charset=utf-8",
    "json": "application/json",
}
_IMMUTABLE = "max-age=31536000, immutable"
_CURRENT = "max-age=30, stale-while-revalidate=60, stale-if-error=86400"
_GROWING = "max-age=2, stale-while-revalidate=10, stale-if-error=86400"


def changes_within_revision(file: str) -> bool:
    return file in ("master.m3u8", "manifest.json")


def cache_control(video: Video, *, file: str, pinned: bool) -> str:
    """`pinned`: asked for under its revision. What needs a token is `private` to every cache but our PoPs."""
    scope = "public" if is_open(video.visibility) else "private"
    return f"{scope}, {_life(video, file=file, pinned=pinned)}"


def _life(video: Video, *, file: str, pinned: bool) -> str:
    if pinned and not changes_within_revision(file):
        return _IMMUTABLE
    return _CURRENT if video.complete else _GROWING


def access_labels(video: Video, *, file: str, pinned: bool) -> dict[str, str]:
    """A PoP keeps what needs a token (RFC 9213) and hands it out only under a path token it has checked."""
    if is_open(video.visibility):
        return {}
    life = _life(video, file=file, pinned=pinned).removesuffix(", immutable")
    return {"Edge-Access": "signed", "CDN-Cache-Control": life}


def labels(video: Video, *, file: str, pinned: bool) -> dict[str, str]:
    return {
        "Content-Type": content_type(file),
        "Cache-Control": cache_control(video, file=file, pinned=pinned),
        **access_labels(video, file=file, pinned=pinned),
        "Cache-Groups": f'"video-{video.id}", "user-{video.owner_id}"',
        "Accept-Ranges": "bytes",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Content-Length, Content-Range, ETag, Age, Cache-Status",
        "X-Content-Type-Options": "nosniff",
    }


def caption_labels(video: Video, *, file: str) -> dict[str, str]:
    """As a file of a revision, and one tag more: a change of captions must not empty caches of the video."""
    found = labels(video, file=file, pinned=True)
    return {**found, "Cache-Groups": f'"{caption_tag(video.id)}", {found["Cache-Groups"]}'}


def caption_tag(video_id: int) -> str:
    return f"captions-{video_id}"


def content_type(file: str) -> str:
    return _TYPES.get(file.rpartition(".")[2], "application/octet-stream")


def matches(if_none_match: str | None, etag: str) -> bool:
    """RFC 9110 section 13.1.2: weak comparison over a list."""
    if if_none_match is None:
        return False
    wanted = etag.removeprefix("W/")
    return any(tag.strip().removeprefix("W/") in ("*", wanted) for tag in if_none_match.split(","))
