"""What the feed needs of its neighbours, as protocols, with the plainest implementation of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from foundation.wire.catalogue import CatalogueChange, CatalogueItem
from inference.feed.columns import FeedColumns


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who asks. `id` is "u:{user id}" or "d:{device id}"."""

    id: str
    user_id: str | None = None
    teen: bool = False
    region: str = ""
    just_named: bool = False
    """A device whose id was made for this request: nobody has met it."""


class PrefetchOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Bring these bytes of a path into the cache, ends inclusive. Priority 0 is first."""

    path: str
    first_byte: int
    last_byte: int
    priority: int


class DeliveryPort(Protocol):
    """The PoP's media cache."""

    def prefetch(self, orders: Sequence[PrefetchOrder]) -> None:
        """Queue the orders and return at once; may drop them."""
        ...

    def is_cached(self, path: str, prefix_bytes: int) -> bool:
        """Are the first `prefix_bytes` of the path here? Memory only, microseconds."""
        ...


class NoDelivery:
    """A feed without a cache beside it."""

    def prefetch(self, orders: Sequence[PrefetchOrder]) -> None:
        return None

    def is_cached(self, path: str, prefix_bytes: int) -> bool:
        return False


class Catalogue(Protocol):
    """The replica as the feed sees it."""

    @property
    def columns(self) -> FeedColumns: ...

    def item(self, video_id: int) -> CatalogueItem | None: ...

    def counters(self, video_id: int) -> CatalogueChange | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Relations:
    """Whom a user follows and with whom there is a block, either way: user ids."""

    following: frozenset[int] = frozenset()
    blocked: frozenset[int] = frozenset()


NO_RELATIONS = Relations()


class UserContext(Protocol):
    async def relations(self, user_id: str) -> Relations:
        """From a local cache, within milliseconds; NO_RELATIONS when unknown. Never raises."""
        ...


class NoUserContext:
    async def relations(self, user_id: str) -> Relations:
        return NO_RELATIONS
