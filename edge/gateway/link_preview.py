"""What a link to a video shows where it is posted: Open Graph and Twitter tags put into the shell's <head>.

Crawlers do not run the app, so the PoP renders these from its replica. Everything is escaped: titles are foreign text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape

from foundation.wire.catalogue import CatalogueItem

MARKER = b"<!--popreel:meta-->"
"""Where the built index.html takes the tags."""
_VIDEO = re.compile(r"v/([0-9]{1,19})/?")
_LONGEST = 200

FindItem = Callable[[int], CatalogueItem | None]


def video_of(path: str) -> int | None:
    """The video a path of the app names ("v/123"), without its leading slash; None for every other."""
    found = _VIDEO.fullmatch(path)
    return int(found[1]) if found else None


def preview_tags(item: CatalogueItem, *, base_url: str) -> bytes:
    """UTF-8 tags for a public video. `base_url`: scheme and authority the link was asked under, no slash at the end."""
    address = f"{base_url}/v/{item.id}"
    folder = f"{base_url}/videos/{item.region}/{item.id}/r{item.revision}"
    first = item.manifest.renditions[0]
    author = item.creator.display_name or item.creator.username
    tags = {
        "og:site_name": "popreel",
        "og:type": "video.other",
        "og:url": address,
        "og:title": f"{item.title or 'A video'} · {author}",
        "og:description": item.description or " ".join(f"#{tag}" for tag in item.hashtags) or f"A video by {author}",
        "og:image": f"{folder}/poster.webp",
        "og:video": f"{folder}/{first.name}.mp4",
        "og:video:type": "video/mp4",
        "og:video:width": str(first.width),
        "og:video:height": str(first.height),
        "twitter:card": "summary_large_image",
    }
    lines = [f'<meta property="{name}" content="{escape(value[:_LONGEST])}" />' for name, value in tags.items()]
    return "\n".join([*lines, f'<link rel="canonical" href="{escape(address)}" />']).encode()
