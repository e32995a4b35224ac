"""Renders a page: items with tokens from the replica, and the orders that warm the cache for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge.feed.arms import Arms
from edge.feed.hydrate import feed_item, start_order
from edge.feed.impression import make_token
from edge.feed.ports import Catalogue, DeliveryPort, Viewer
from edge.feed.viewer_store import Preferences
from foundation.wire.catalogue import CatalogueItem, Counters
from foundation.wire.feed import FeedItem
from inference.feed.recommender import Pick


class PageRenderer:
    """Stateless; runs on the event loop, about 25 us an item."""

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

    def items(self, picks: Sequence[Pick], position: int, prefs: Preferences, viewer: Viewer) -> tuple[FeedItem, ...]:
        liked, now_ms = frozenset(prefs.liked), int(self._clock() * 1000)
        arm = self._arms.arm_of(viewer.id)
        model, label = self._arms.recommender(arm).model.name, self._arms.label(arm)
        items: list[FeedItem] = []
        for place, pick in enumerate(picks, start=position):
            item = self._catalogue.item(pick.video_id)
            if item is None:  # deleted since it was handed out; a replayed page is then shorter
                continue
            token = make_token(pick, place=place, model=model, arm=label, served_ms=now_ms, cached=self.is_cached(pick))
            items.append(
                feed_item(
                    item,
                    region=self._region,
                    source=pick.source,
                    impression=token,
                    liked=pick.video_id in liked,
                    counters=self._counters(pick.video_id, item),
                )
            )
        return tuple(items)

    def _counters(self, video_id: int, item: CatalogueItem) -> Counters:
        change = self._catalogue.counters(video_id)
        return change.counters if change is not None and change.counters is not None else item.counters

    def order_starts(self, picks: Sequence[Pick]) -> None:
        items = [self._catalogue.item(pick.video_id) for pick in picks[: self._prefetch_items]]
        orders = [
            start_order(item, region=self._region, priority=place)
            for place, item in enumerate(items)
            if item is not None
        ]
        if orders:
            self._delivery.prefetch(orders)

    def is_cached(self, pick: Pick) -> bool:
        """Is the start of the video in this PoP's cache?"""
        item = self._catalogue.item(pick.video_id)
        if item is None:
            return False
        start = start_order(item, region=self._region, priority=0)
        return self._delivery.is_cached(start.path, start.last_byte + 1)
