"""Renders a page: items with tokens from the replica, and the orders that warm the cache for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from edge.feed.arms import Arms
from edge.feed.hydrate import feed_item, start_order, why
from edge.feed.impression import make_token
from edge.feed.ports import Catalogue, DeliveryPort, PrefetchOrder, Viewer
from edge.feed.viewer_store import Preferences
from foundation.wire.catalogue import CatalogueItem, Counters
from foundation.wire.feed import FeedItem
from inference.feed.recommender import Pick
from inference.feed.sources import Source

_PREPARED = 4096
"""Videos whose item is kept ready, about 5 KB each: as many as the replica keeps decoded."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is the same for every viewer."""

    item: CatalogueItem
    rendered: FeedItem
    start: PrefetchOrder


class PageRenderer:
    """Runs on the event loop: about 8 us an item that was shown lately, 40 us one that was not."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        delivery: DeliveryPort,
        arms: Arms,
        clock: Callable[[], float],
        region: str,
        prefetch_items: int,
    ) -> None:
        self._catalogue = catalogue
        self._delivery = delivery
        self._arms = arms
        self._clock = clock
        self._region = region
        self._prefetch_items = prefetch_items
        self._prepared: OrderedDict[int, _Prepared] = OrderedDict()

    def items(self, picks: Sequence[Pick], position: int, prefs: Preferences, viewer: Viewer) -> tuple[FeedItem, ...]:
        """Without what was deleted since it was handed out; a replayed page is then shorter."""
        liked, now_ms = frozenset(prefs.liked), int(self._clock() * 1000)
        arm = self._arms.arm_of(viewer.id)
        model, label = self._arms.model(arm).name, self._arms.label(arm)
        items: list[FeedItem] = []
        for place, pick in enumerate(picks, start=position):
            ready = self._ready(pick.video_id)
            if ready is None:
                continue
            counters = self._counters(pick.video_id, ready.item)
            items.append(
                msgspec.structs.replace(
                    ready.rendered,
                    view_count=counters.views,
                    like_count=counters.likes,
                    comment_count=counters.comments,
                    share_count=counters.shares,
                    liked=pick.video_id in liked,
                    impression=make_token(
                        pick, place=place, model=model, arm=label, served_ms=now_ms, cached=self._is_cached(ready)
                    ),
                    why=why(pick.source, ready.item),
                )
            )
        return tuple(items)

    def _counters(self, video_id: int, item: CatalogueItem) -> Counters:
        change = self._catalogue.counters(video_id)
        return change.counters if change is not None and change.counters is not None else item.counters

    def order_starts(self, picks: Sequence[Pick]) -> None:
        ready = [self._ready(pick.video_id) for pick in picks[: self._prefetch_items]]
        starts = [known.start for known in ready if known is not None]
        orders = [msgspec.structs.replace(start, priority=place) for place, start in enumerate(starts)]
        if orders:
            self._delivery.prefetch(orders)

    def is_cached(self, pick: Pick) -> bool:
        """Is the start of the video in this PoP's cache?"""
        ready = self._ready(pick.video_id)
        return ready is not None and self._is_cached(ready)

    def _is_cached(self, ready: _Prepared) -> bool:
        return self._delivery.is_cached(ready.start.path, ready.start.last_byte + 1)

    def _ready(self, video_id: int) -> _Prepared | None:
        """The video as any viewer sees it; made anew when the replica has another item for it."""
        item = self._catalogue.item(video_id)
        if item is None:
            self._prepared.pop(video_id, None)
            return None
        ready = self._prepared.get(video_id)
        if ready is None or ready.item is not item:
            rendered = feed_item(
                item, region=self._region, source=Source.POPULAR, impression="", liked=False, counters=item.counters
            )
            ready = _Prepared(item, rendered, start_order(item, region=self._region, priority=0))
            self._prepared[video_id] = ready
            if len(self._prepared) > _PREPARED:
                self._prepared.popitem(last=False)
        return ready
