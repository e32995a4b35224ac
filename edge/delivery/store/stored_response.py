"""A stored response: everything about it but its bytes. Immutable; a 304 or a soft purge makes a new one."""

from __future__ import annotations

import functools

import msgspec
from multidict import CIMultiDict

from edge.delivery.rules import cache_control, freshness, preconditions
from edge.delivery.rules.vary import VaryNames, VaryValues, vary_values
from edge.delivery.store.layout import Layout

Fields = tuple[tuple[str, str], ...]


class StoredResponse(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What the index and the disk hold about one variant of one URL. Times are unix seconds."""

    key: str
    """Path and query as sent to the origin, without CMCD and token."""
    vary_names: VaryNames
    vary_values: VaryValues
    status: int
    reason: str
    fields: Fields
    """End-to-end header fields in the order received, with Date always present."""
    request_s: float
    response_s: float
    initial_age_s: float
    lifetime_s: float
    body_id: str
    """Names the bytes. Random, made when this response first arrived: bytes of two responses never mix."""
    total: int
    """Length of the whole body, bytes."""
    pinned_etag: str | None
    """Strong ETag under which missing slices may be fetched by range; None: the body is only usable whole."""
    layout: Layout
    tags: tuple[str, ...] = ()
    purged_soft: bool = False
    sequence: int = 0
    """Purge sequence the store had seen when this was stored: later purges apply to it."""

    @functools.cached_property
    def headers(self) -> CIMultiDict[str]:
        return CIMultiDict(self.fields)

    @functools.cached_property
    def directives(self) -> cache_control.ResponseDirectives:
        return cache_control.response_directives(self.headers)

    @functools.cached_property
    def has_validator(self) -> bool:
        return preconditions.entity_tag(self.headers) is not None or "Last-Modified" in self.headers

    def age_s(self, now_s: float) -> float:
        return freshness.current_age_s(initial_s=self.initial_age_s, response_s=self.response_s, now_s=now_s)

    def ttl_s(self, now_s: float) -> float:
        """Seconds of freshness left, negative when stale. A soft-purged or no-cache response has none."""
        ttl = self.lifetime_s - self.age_s(now_s)
        return min(ttl, 0.0) if self.purged_soft or self.directives.no_cache else ttl

    def is_fresh(self, now_s: float) -> bool:
        return self.ttl_s(now_s) > 0

    def answers(self, request: CIMultiDict[str]) -> bool:
        """Whether this variant is the one for the request's Vary-listed fields."""
        return not self.vary_names or vary_values(self.vary_names, request) == self.vary_values

    @property
    def slices(self) -> int:
        return self.layout.count(self.total)
