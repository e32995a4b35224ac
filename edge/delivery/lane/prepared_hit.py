"""A hit made ready: the head's bytes, the resident slices, and until when it may be served."""

from __future__ import annotations

from typing import Protocol, cast

import msgspec
from multidict import CIMultiDict

from edge.delivery import cors
from edge.delivery.answer import ACCESS_FIELD, answer
from edge.delivery.ask import Ask, Target
from edge.delivery.lane.request_head import FieldLine, HeaderBlock
from edge.delivery.rules import cache_status
from edge.delivery.rules.byte_range import RangeSpec, satisfiable
from edge.delivery.rules.cache_control import RequestDirectives
from edge.delivery.rules.field_filter import end_to_end
from edge.delivery.store.ram_tier import Cell, Cells
from edge.delivery.store.shelves import is_coded
from edge.delivery.store.stored_response import StoredResponse

MAX_FAST_BYTES = 8 << 20
"""Longer answers are streamed by the slow lane, slice by slice."""
MAX_SPELLINGS = 64
"""Of the fields a response varies on, remembered with the variant they mean."""
JOIN_BYTES = 16_384
"""Bodies up to this are joined with their head into one buffer: one small copy is cheaper than a second buffer."""
WHOLE, HEAD_ONLY, NOT_MODIFIED = 0, 1, 2
Shape = RangeSpec | int
"""Of an answer: a range of the body, or one of these."""
_PER_ANSWER = frozenset({"age", "cache-status", "content-length", "content-range"})


Buffers = tuple[bytes | memoryview, ...]


class Reply(msgspec.Struct, gc=False, eq=False):
    """What to write: `buffers`, the head and then the body's `size` bytes out of `cells`. Whoever uses it adds 1."""

    status: int
    buffers: Buffers
    size: int
    wire: bytes
    """Head and body in one, if the body is short."""
    cells: tuple[Cell, ...] = ()
    uses: int = 0
    is_kept: bool = False
    """For the second: its uses are counted later."""

    def with_field(self, line: bytes) -> Reply:
        """The same with one more header field, for one request; `line` has its line end."""
        head = b"".join((self.buffers[0][:-2], line, b"\r\n"))
        return reply_of(self.status, head, self.buffers[1:])


def reply_of(status: int, head: bytes, body: Buffers = (), cells: tuple[Cell, ...] = ()) -> Reply:
    size = sum(map(len, body))
    buffers = (head, *body)
    return Reply(status, buffers, size, b"".join(buffers) if size <= JOIN_BYTES else b"", cells)


class Ending(Protocol):
    """Something made of a hit that must not outlive it."""

    until_s: float


class PreparedHit:
    """Answers for one stored response. The head is rendered once a second: Age and ttl are whole seconds."""

    __slots__ = (
        "_base_200",
        "_base_206",
        "_base_304",
        "_base_whole",
        "_status",
        "_tail",
        "_variants",
        "cells",
        "descendants",
        "etag",
        "fresh_until_s",
        "is_coded",
        "needs_token",
        "next_variant",
        "ready",
        "stored",
        "until_second_s",
        "varies_on",
    )

    def __init__(self, stored: StoredResponse, cells: Cells, *, name: str, cors_origin: str, now_s: float) -> None:
        self.stored = stored
        self.cells = cells
        self.ready: dict[Shape, Reply] = {}
        """This second's answers, as far as they were asked for and are kept."""
        self.varies_on = stored.vary_names
        self._variants: dict[tuple[FieldLine, ...], PreparedHit] = {}
        """By the fields it varies on as requests had them: this one or one behind it."""
        self.fresh_until_s = now_s + stored.ttl_s(now_s)
        self.etag = stored.headers.get("ETag", "").encode()
        self.is_coded = is_coded(stored.body_id)
        self.needs_token = stored.headers.get(ACCESS_FIELD, "").strip().lower() == "signed"
        self.next_variant: PreparedHit | None = None
        self.descendants: list[Ending] = []
        """Made of this second's answers."""
        self._base_200 = self._base(CIMultiDict(), cors_origin, now_s)
        self._base_206 = self._base_200.replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 206 Partial Content", 1)
        tag = CIMultiDict({"If-None-Match": stored.headers["ETag"]}) if self.etag else None
        self._base_304 = self._base(tag, cors_origin, now_s) if tag is not None else b""
        self._base_whole = b"%bContent-Length: %d\r\n" % (self._base_200, stored.total)
        upstream = stored.headers.getall("Cache-Status", ())
        status = ", ".join([*upstream, cache_status.hit(name, ttl_s=0).removesuffix("0")])
        self._status = f"\r\nCache-Status: {status}".encode()
        self.until_second_s = 0.0
        self._tail = b""

    def _base(self, request: CIMultiDict[str], cors_origin: str, now_s: float) -> bytes:
        """Status line and the fields that are the same in every answer: those the slow lane would send."""
        target = Target(key=self.stored.key, path=self.stored.key, token="", cmcd="")
        ask = Ask(method="GET", target=target, headers=request, directives=RequestDirectives())
        reply = answer(self.stored, ask, now_s=now_s, cache_status="")
        cors.allow(reply.headers, cors_origin)
        fields = end_to_end(reply.headers, without=_PER_ANSWER)
        reason = "OK" if reply.status == 200 else reply.reason
        lines = [f"HTTP/1.1 {reply.status} {reason}", *(f"{name}: {value}" for name, value in fields.items())]
        return ("\r\n".join(lines) + "\r\n").encode()

    def render(self, now_s: float) -> None:
        """Bring Age and ttl up to this second; to be called when `until_second_s` has come."""
        self.until_second_s = float(int(now_s) + 1)
        self.descendants.clear()
        self.ready.clear()
        stored = self.stored
        age_s = stored.age_s(now_s)
        self._tail = b"Age: %d%b%d\r\n\r\n" % (age_s, self._status, (stored.lifetime_s - age_s) // 1)

    def is_same_variant(self, other: PreparedHit) -> bool:
        mine, its = self.stored, other.stored
        return mine.vary_names == its.vary_names and mine.vary_values == its.vary_values

    def variant_for(self, block: HeaderBlock, now_s: float) -> PreparedHit | None:
        """The fresh variant, this or one behind it, for the request's Vary-listed fields."""
        if not self.varies_on:
            return self if now_s < self.fresh_until_s else None
        lines = block.lines_of(self.varies_on)
        if (known := self._variants.get(lines)) is not None and now_s < known.fresh_until_s:
            return known
        candidate: PreparedHit | None = self
        while candidate is not None:
            stored = candidate.stored
            if now_s < candidate.fresh_until_s and block.vary_values(stored.vary_names) == stored.vary_values:
                if candidate.varies_on == self.varies_on:
                    if len(self._variants) >= MAX_SPELLINGS:
                        self._variants.clear()
                    self._variants[lines] = candidate
                return candidate
            candidate = candidate.next_variant
        return None

    def end(self) -> None:
        """What is stored has changed: whoever still refers to this must not serve it."""
        self.fresh_until_s = 0.0
        self.ready.clear()
        for made in self.descendants:
            made.until_s = 0.0

    def make(self, shape: Shape) -> Reply | None:
        """This second's answer of that shape; None for a range that is not satisfiable or a slice not in memory."""
        if isinstance(shape, RangeSpec):
            return self._part(shape)
        if shape == HEAD_ONLY:
            return reply_of(200, self._base_whole + self._tail)
        if shape == NOT_MODIFIED:
            return reply_of(304, self._base_304 + self._tail)
        cells = tuple(map(self.cells.get, range(self.stored.slices)))
        if None in cells:
            return None
        held = cast(tuple[Cell, ...], cells)
        return reply_of(200, self._base_whole + self._tail, tuple([cell.data for cell in held]), held)

    def _part(self, spec: RangeSpec) -> Reply | None:
        stored = self.stored
        spans = satisfiable((spec,), stored.total)
        if not spans:
            return None
        start, stop = spans[0]
        body: list[bytes | memoryview] = []
        cells: list[Cell] = []
        for piece in stored.layout.pieces(spans[0]):
            cell = self.cells.get(piece.slice_index)
            if cell is None:
                return None
            data = cell.data
            whole = piece.stop - piece.start == len(data)
            body.append(data if whole else memoryview(data)[piece.start : piece.stop])
            cells.append(cell)
        head = b"%bContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n%b" % (
            self._base_206,
            start,
            stop - 1,
            stored.total,
            stop - start,
            self._tail,
        )
        return reply_of(206, head, tuple(body), tuple(cells))
