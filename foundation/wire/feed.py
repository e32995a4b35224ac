"""The feed as a client receives it."""

from __future__ import annotations

from foundation.wire import Wire
from foundation.wire.catalogue import Creator, Sound


class StartHint(Wire, frozen=True, kw_only=True):
    """What a player needs to show the first frame without another round trip."""

    rendition: str
    mp4_url: str
    """Progressive fragmented MP4 of the first rung; Range requests allowed."""
    playlist: str
    """Media playlist of that rung with root-relative URIs, for a blob: or data: URL."""
    init_bytes: int
    prefix_bytes: int
    """GET mp4_url with `Range: bytes=0-{prefixBytes-1}` holds init + first fragment."""
    codecs: str = ""
    """RFC 6381 string of that rung, so that a source buffer can be made before its first byte is here."""


class CaptionView(Wire, frozen=True, kw_only=True):
    lang: str
    """BCP 47 tag: "en", "pt-BR"."""
    url: str
    """WebVTT."""


class Why(Wire, frozen=True, kw_only=True):
    """The reason an item is here, for people and for off-policy evaluation."""

    source: str
    """Candidate source: "taste", "trending", "fresh", "following", "popular", "explore"."""
    text: str


class FeedItem(Wire, frozen=True, kw_only=True):
    id: str
    user: Creator
    title: str
    description: str
    hashtags: tuple[str, ...]
    sound: Sound | None
    duration_ms: int
    width: int
    height: int
    urls: dict[str, str]
    """"master" is /videos/{region}/{id}/master.m3u8; then one media playlist per rung ("360p": ".../360p.m3u8"), and
    "mp4" (first rung, progressive)."""
    thumbnail: str
    thumbhash: str
    start: StartHint
    view_count: int
    like_count: int
    comment_count: int
    share_count: int
    liked: bool
    created_at_ms: int
    impression: str
    """Opaque; send it back with the watch event."""
    why: Why
    captions: tuple[CaptionView, ...] = ()


class FeedPage(Wire, frozen=True, kw_only=True):
    videos: tuple[FeedItem, ...]
    next_cursor: str
    """Opaque. Always present: the feed does not end, an empty page means nothing new right now."""
    is_fallback: bool = False
