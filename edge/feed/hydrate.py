"""A pick becomes a feed item: everything a player needs to start, in one round trip."""

from __future__ import annotations

import re

from edge.feed.ports import PrefetchOrder
from foundation.wire.catalogue import CatalogueItem, Counters
from foundation.wire.feed import CaptionView, FeedItem, StartHint, Why
from inference.feed.sources import Source

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
_MAP = re.compile(r'^(#EXT-X-MAP:[^\n]*?URI=")(?=[^/"])(?![a-z][a-z0-9+.-]*:)')

WIRE_SOURCE: dict[Source, str] = {
    Source.FOLLOWING: "following",
    Source.TASTE: "taste",
    Source.ITEM_TO_ITEM: "taste",
    Source.TRENDING: "trending",
    Source.INTEREST: "taste",
    Source.POPULAR: "popular",
    Source.FRESH: "fresh",
    Source.EXPLORE: "explore",
    Source.RERUN: "popular",
}


def feed_item(
    item: CatalogueItem, *, region: str, source: Source, impression: str, liked: bool, counters: Counters
) -> FeedItem:
    """`region` is the PoP's; URLs are root-relative, so they work behind any host name."""
    manifest = item.manifest
    first = manifest.renditions[0]
    base = media_base(region, item)
    urls = {"master": f"/videos/{region}/{item.id}/master.m3u8"}
    urls.update({rung.name: f"{base}/{rung.name}.m3u8" for rung in manifest.renditions})
    urls["mp4"] = f"{base}/{first.name}.mp4"
    return FeedItem(
        id=item.id,
        user=item.creator,
        title=item.title,
        description=item.description,
        hashtags=item.hashtags,
        sound=item.sound,
        duration_ms=manifest.duration_ms,
        width=manifest.width,
        height=manifest.height,
        urls=urls,
        thumbnail=f"{base}/poster.webp",
        thumbhash=manifest.thumbhash,
        start=StartHint(
            rendition=first.name,
            mp4_url=urls["mp4"],
            playlist=root_relative(manifest.start_playlist, base),
            init_bytes=first.init_bytes,
            prefix_bytes=first.prefix_bytes,
            codecs=first.codecs,
        ),
        view_count=counters.views,
        like_count=counters.likes,
        comment_count=counters.comments,
        share_count=counters.shares,
        liked=liked,
        created_at_ms=item.created_at_ms,
        impression=impression,
        captions=tuple(
            CaptionView(lang=caption.lang, url=f"/videos/{region}/{item.id}/captions/{caption.file}")
            for caption in item.captions
        ),
        why=why(source, item),
    )


def media_base(region: str, item: CatalogueItem) -> str:
    return f"/videos/{region}/{item.id}/r{item.revision}"


def root_relative(playlist: str, base: str) -> str:
    """A media playlist whose relative URIs (lines and EXT-X-MAP) start at the root, so that it works from a blob:
    URL. About 5 us for 30 lines."""
    lines = playlist.split("\n")
    rooted = {line: _rooted(line, base) for line in set(lines)}  # most lines come again and again
    return "\n".join([rooted[line] for line in lines])


def _rooted(line: str, base: str) -> str:
    if line.startswith("#"):
        return _MAP.sub(lambda match: f"{match.group(1)}{base}/", line) if line.startswith("#EXT-X-MAP") else line
    if not line or line[0] in _NO_URI or _SCHEME.match(line):
        return line
    return f"{base}/{line}"


_NO_URI = frozenset("/ \t\r\f\v")
"""Starts of lines that are rooted, or no URI."""


def start_order(item: CatalogueItem, *, region: str, priority: int) -> PrefetchOrder:
    """The bytes a player asks for first."""
    first = item.manifest.renditions[0]
    return PrefetchOrder(
        path=f"{media_base(region, item)}/{first.name}.mp4",
        first_byte=0,
        last_byte=max(first.prefix_bytes - 1, 0),
        priority=priority,
    )


def why(source: Source, item: CatalogueItem) -> Why:
    """The reason told to the viewer."""
    fixed = _FIXED.get(source)
    return fixed if fixed is not None else Why(source=WIRE_SOURCE[source], text=_reason(source, item))


def _reason(source: Source, item: CatalogueItem) -> str:
    if source is Source.FOLLOWING:
        return f"You follow @{item.creator.username}"
    return "One of your interests" + (f": #{item.hashtags[0]}" if item.hashtags else "")


_FIXED = {
    source: Why(source=WIRE_SOURCE[source], text=text)
    for source, text in (
        (Source.TASTE, "Like videos you watched"),
        (Source.ITEM_TO_ITEM, "Watched by people who liked what you liked"),
        (Source.TRENDING, "Rising right now"),
        (Source.POPULAR, "Popular here"),
        (Source.FRESH, "Just published"),
        (Source.EXPLORE, "New: you are among the first to see it"),
        (Source.RERUN, "You have seen everything new: here again"),
    )
}
"""Reasons that name neither creator nor hashtag."""
