"""What is stored, by URL: the variants of each key, and the keys of each tag. Bounded; oldest use leaves first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from edge.delivery.store.stored_response import StoredResponse

MAX_VARIANTS = 16
"""More variants of one URL than this push the oldest out: an unruly Vary must not eat the cache."""
Variants = tuple[StoredResponse, ...]


class ResponseIndex:
    """`on_change` is told each key whose variants are no longer the same."""

    def __init__(self, *, max_keys: int, on_change: Callable[[str], None] = lambda key: None) -> None:
        self._max_keys = max_keys
        self._on_change = on_change
        self._variants: OrderedDict[str, Variants] = OrderedDict()
        self._by_tag: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._variants)

    def get(self, key: str) -> Variants:
        variants = self._variants.get(key, ())
        if variants:
            self._variants.move_to_end(key)
        return variants

    def put(self, stored: StoredResponse) -> Variants:
        """Add a variant, in front; returns the responses it replaced or pushed out."""
        old = self._variants.get(stored.key, ())
        same = tuple(v for v in old if _same_variant(v, stored))
        rest = tuple(v for v in old if v not in same)
        kept, overflow = rest[: MAX_VARIANTS - 1], rest[MAX_VARIANTS - 1 :]
        self.set(stored.key, (stored, *kept))
        gone = tuple(v for v in same if v.body_id != stored.body_id) + overflow
        return gone + self._trim()

    def set(self, key: str, variants: Variants) -> None:
        """Replace all variants of a key; none removes it."""
        self._untag(key)
        self._on_change(key)
        if not variants:
            self._variants.pop(key, None)
            return
        self._variants[key] = variants
        self._variants.move_to_end(key)
        for stored in variants:
            for tag in stored.tags:
                self._by_tag.setdefault(tag, set()).add(key)

    def _untag(self, key: str) -> None:
        for stored in self._variants.get(key, ()):
            for tag in stored.tags:
                if keys := self._by_tag.get(tag):
                    keys.discard(key)
                    if not keys:
                        del self._by_tag[tag]

    def _trim(self) -> Variants:
        gone: list[StoredResponse] = []
        while len(self._variants) > self._max_keys:
            key = next(iter(self._variants))
            gone.extend(self._variants[key])
            self.set(key, ())
        return tuple(gone)

    def keys_with_tag(self, tag: str) -> tuple[str, ...]:
        return tuple(self._by_tag.get(tag, ()))

    def keys_under(self, prefix: str) -> tuple[str, ...]:
        return tuple(key for key in self._variants if key.startswith(prefix))

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._variants))


def _same_variant(one: StoredResponse, other: StoredResponse) -> bool:
    return one.vary_names == other.vary_names and one.vary_values == other.vary_values
