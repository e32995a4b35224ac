"""The web app, read once into memory: small, pre-compressed, hashed names for ever, the shell always revalidated.

Paths without a file extension are the app's own routes and get index.html.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from edge.gateway.link_preview import MARKER, FindItem, preview_tags, video_of
from foundation.errors import NotFound

_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
_IMMUTABLE = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"
_NAMES = ("@", "tag/", "search/")
"""Routes of the app that end in what people wrote: "/@ana.b" is a profile, "/tag/b.tech" a hashtag, not a file."""
_REFUSED = re.compile(r";q=0(?:\.0*)?$")
_MAX_FILE_BYTES = 8 * 1024 * 1024
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: data:; connect-src 'self' blob: data:; "
        "style-src 'self' 'unsafe-inline'; script-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'"
    ),
}
_NOT_BUILT = b"""<!doctype html><meta charset=utf-8><title>popreel</title>
<p>The PoP is up, but the web app has not been built: run <code>make setup</code>.</p>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file with its variants by content coding ("" is the plain one)."""

    content_type: str
    cache_control: str
    etag: str
    bodies: Mapping[str, bytes]


class WebApp:
    """Serves `assets` (path below the root -> Asset)."""

    def __init__(self, assets: Mapping[str, Asset], *, find_item: FindItem = lambda video_id: None) -> None:
        """find_item: what this PoP knows of a video, for the preview of its link."""
        self._assets = assets
        self._find_item = find_item

    @classmethod
    def load(cls, folder: Path, *, find_item: FindItem = lambda video_id: None) -> WebApp:
        """Read a built app. A missing folder gives a page that says how to build it. Blocks: call before listening."""
        if not (folder / "index.html").is_file():
            return cls({"index.html": _asset("index.html", {"": _NOT_BUILT})})
        files = [
            path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size <= _MAX_FILE_BYTES
        ]
        plain = [path for path in files if path.suffix not in (".br", ".gz", ".map")]
        return cls({path.relative_to(folder).as_posix(): _read(path, folder) for path in plain}, find_item=find_item)

    async def handle(self, request: web.Request) -> web.Response:
        """GET or HEAD of a file or of a route of the app. Raises NotFound for a missing file."""
        path = request.path.lstrip("/")
        asset = self._with_preview(self._find(path), path, request)
        headers = {
            "Cache-Control": asset.cache_control,
            "ETag": asset.etag,
            "Vary": "Accept-Encoding",
            **_SECURITY,
        }
        if asset.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        coding = _choose(asset, request.headers.get("Accept-Encoding", ""))
        if coding:
            headers["Content-Encoding"] = coding
        return web.Response(body=asset.bodies[coding], headers={**headers, "Content-Type": asset.content_type})

    def _with_preview(self, shell: Asset, path: str, request: web.Request) -> Asset:
        """The shell with the tags of the public video that `path` names; else `shell` itself."""
        video_id = video_of(path)
        item = self._find_item(video_id) if video_id is not None else None
        if item is None or item.visibility != "public":
            return shell
        tags = preview_tags(item, base_url=f"{request.scheme}://{request.host}")
        return _asset("index.html", {"": shell.bodies[""].replace(MARKER, tags, 1)})

    def _find(self, path: str) -> Asset:
        asset = self._assets.get(path or "index.html")
        if asset is not None:
            return asset
        if "." in path.rsplit("/", 1)[-1] and not path.startswith(_NAMES):
            raise NotFound(f"nothing at /{path[:200]}")
        return self._assets["index.html"]


def _read(path: Path, folder: Path) -> Asset:
    bodies = {"": path.read_bytes()}
    for coding, suffix in _ENCODINGS:
        variant = path.with_name(path.name + suffix)
        if variant.is_file():
            bodies[coding] = variant.read_bytes()
    return _asset(path.relative_to(folder).as_posix(), bodies)


def _asset(name: str, bodies: Mapping[str, bytes]) -> Asset:
    content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if content_type.startswith("text/") or content_type.endswith(("javascript", "json")):
        content_type += "; charset=utf-8"
    if name.endswith(".webmanifest"):
        content_type = "application/manifest+json"
    return Asset(
        content_type=content_type,
        cache_control=_IMMUTABLE if name.startswith("assets/") else _REVALIDATE,
        etag=f'"{hashlib.blake2b(bodies[""], digest_size=12).hexdigest()}"',
        bodies=bodies,
    )


def _choose(asset: Asset, accept_encoding: str) -> str:
    accepted = {
        part.split(";")[0].strip().lower()
        for part in accept_encoding.split(",")
        if not _REFUSED.search(part.replace(" ", ""))
    }
    for coding, _ in _ENCODINGS:
        if coding in accepted and coding in asset.bodies:
            return coding
    return ""
