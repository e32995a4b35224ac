"""How a body is cut: slice 0 is the short prefix a player starts from, the rest are equal slices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from edge.delivery.rules.byte_range import Span


class Piece(NamedTuple):
    """The part of one slice from `start` to `stop`, counted from the slice's first byte."""

    slice_index: int
    start: int
    stop: int


class Layout(NamedTuple):
    """Slice 0 holds the first `prefix_bytes`, slice i >= 1 the i-th run of `slice_bytes` after them."""

    prefix_bytes: int
    slice_bytes: int

    def span(self, index: int, total: int | None = None) -> Span:
        """Bytes of slice `index`, clipped to `total` when known."""
        if index == 0:
            start, stop = 0, self.prefix_bytes
        else:
            start = self.prefix_bytes + (index - 1) * self.slice_bytes
            stop = start + self.slice_bytes
        return Span(start, stop) if total is None else Span(min(start, total), min(stop, total))

    def index_of(self, offset: int) -> int:
        """The slice that holds byte `offset`."""
        return 0 if offset < self.prefix_bytes else 1 + (offset - self.prefix_bytes) // self.slice_bytes

    def count(self, total: int) -> int:
        """Slices of a body of `total` bytes; an empty body has none."""
        return 0 if total == 0 else self.index_of(total - 1) + 1

    def pieces(self, wanted: Span) -> Iterator[Piece]:
        """The parts of slices that make up `wanted`, in order."""
        at = wanted.start
        while at < wanted.stop:
            index = self.index_of(at)
            slice_span = self.span(index)
            stop = min(slice_span.stop, wanted.stop)
            yield Piece(index, at - slice_span.start, stop - slice_span.start)
            at = stop
