"""Byte ranges (RFC 9110 section 14): reading Range and Content-Range, cutting a representation of known length."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

MAX_RANGES = 8
"""More ranges than this in one request are answered with the whole representation."""

_RANGE = re.compile(r"bytes=[ \t]*(?P<specs>.*)", re.IGNORECASE | re.ASCII)
_SPEC = re.compile(r"(?:(?P<first>[0-9]{1,18})-(?P<last>[0-9]{0,18})|-(?P<suffix>[0-9]{1,18}))", re.ASCII)
_CONTENT_RANGE = re.compile(
    r"bytes (?:(?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18})|\*)/(?P<total>[0-9]{1,18}|\*)", re.ASCII
)


class Span(NamedTuple):
    """Bytes start..stop of a representation, `stop` excluded."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


class RangeSpec(NamedTuple):
    """One range as asked: first-last, first- (last None) or -suffix (first None, `last` is the suffix length)."""

    first: int | None
    last: int | None


class ContentRange(NamedTuple):
    """`bytes first-last/total` as a span; span None for `*`, total None for `*`."""

    span: Span | None
    total: int | None


def parse_range(text: str) -> tuple[RangeSpec, ...] | None:
    """The ranges asked for; None when the field must be ignored: other unit, bad syntax, last < first, too many."""
    match = _RANGE.fullmatch(text.strip(" \t"))
    if match is None:
        return None
    specs: list[RangeSpec] = []
    for part in match["specs"].split(","):
        part = part.strip(" \t")
        if not part:
            continue
        spec = _SPEC.fullmatch(part)
        if spec is None or len(specs) == MAX_RANGES:
            return None
        if spec["suffix"] is not None:
            specs.append(RangeSpec(None, int(spec["suffix"])))
            continue
        first, last = int(spec["first"]), int(spec["last"]) if spec["last"] else None
        if last is not None and last < first:
            return None
        specs.append(RangeSpec(first, last))
    return tuple(specs) or None


def satisfiable(specs: Sequence[RangeSpec], total: int) -> tuple[Span, ...]:
    """The spans of a representation of `total` bytes, clipped, in the order asked; () means 416."""
    spans: list[Span] = []
    for first, last in specs:
        if first is None:
            length = min(last or 0, total)
            span = Span(total - length, total)
        else:
            span = Span(first, total if last is None else min(last + 1, total))
        if span.start < span.stop:
            spans.append(span)
    return tuple(spans)


def coalesce(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Overlapping and touching spans joined, in rising order: no byte is sent twice, whatever was asked."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start <= joined[-1].stop:
            joined[-1] = Span(joined[-1].start, max(joined[-1].stop, span.stop))
        else:
            joined.append(span)
    return tuple(joined)


def parse_content_range(text: str) -> ContentRange | None:
    """The field of a 206 or 416; None unless it is valid and its parts agree."""
    match = _CONTENT_RANGE.fullmatch(text.strip(" \t"))
    if match is None:
        return None
    total = None if match["total"] == "*" else int(match["total"])
    if match["first"] is None:
        return None if total is None else ContentRange(None, total)
    span = Span(int(match["first"]), int(match["last"]) + 1)
    if span.start >= span.stop or (total is not None and span.stop > total):
        return None
    return ContentRange(span, total)


def content_range(span: Span, total: int) -> str:
    return f"bytes {span.start}-{span.stop - 1}/{total}"
