"""What was answered in this second, for who asks the same again within it.

Age, ttl and Date-like things are whole seconds, so between two turns of the second the answer to a request cannot
differ, unless what is stored changes, and then it is ended (`PreparedHit.end`). Answers are kept by hit, for the whole
and for each range; and by the exact bytes of a request: everything that decides about it (fields, token, range,
variant) is in its bytes, so equal bytes need no second look at them.
"""

from __future__ import annotations

import msgspec

from edge.delivery.lane.prepared_hit import PreparedHit, Reply, Shape
from edge.delivery.tally import FastCounts

MAX_REPEATS = 2_048
"""Distinct requests remembered in one second: what remembering may cost is bounded where no request comes twice."""
MAX_REQUEST_BYTES = 2_048
MAX_REPLIES = 16_384
MAX_ANSWER_BYTES = 64 << 20
"""Of all answers kept; most are slices that the RAM tier holds anyway."""


class Repeat(msgspec.Struct, gc=False, eq=False):
    """What a request was answered. Whoever sends it again adds 1 to the reply's uses."""

    reply: Reply
    until_s: float


class Repeats:
    def __init__(self, counts: FastCounts) -> None:
        self.known: dict[bytes, Repeat] = {}
        """By request head. Never replaced: connections look up here directly."""
        self._counts = counts
        self._replies: list[Reply] = []
        self._hits: list[PreparedHit] = []
        self._bytes = 0
        self._until_s = 0.0

    def keep(self, hit: PreparedHit, shape: Shape, reply: Reply, *, now_s: float) -> None:
        """`hit` has the answer ready for the rest of this second; its uses are counted when somebody wants to know."""
        if now_s >= self._until_s:
            self.clear()
            self._until_s = float(int(now_s) + 1)
        if len(self._replies) >= MAX_REPLIES or self._bytes + reply.size > MAX_ANSWER_BYTES:
            reply.uses = 1
            self._count(reply)
            return
        reply.is_kept = True
        self._bytes += reply.size
        self._replies.append(reply)
        if not hit.ready:
            self._hits.append(hit)
        hit.ready[shape] = reply

    def remember(self, request: bytes, hit: PreparedHit, reply: Reply, *, until_s: float) -> None:
        """`reply` answers `request` until `until_s`, or the end of this second, or the end of the hit."""
        if not reply.is_kept or len(request) > MAX_REQUEST_BYTES or len(self.known) >= MAX_REPEATS:
            return
        repeat = Repeat(reply, min(until_s, hit.until_second_s, hit.fresh_until_s))
        self.known[request] = repeat
        hit.descendants.append(repeat)

    def settle(self) -> None:
        """Bring the counts up to date."""
        for reply in self._replies:
            if reply.uses:
                self._count(reply)

    def _count(self, reply: Reply) -> None:
        """Add the uses to the counts, and to what eviction knows of the slices."""
        uses, reply.uses = reply.uses, 0
        self._counts.hits += uses
        self._counts.bytes += uses * reply.size
        if reply.status == 206:
            self._counts.ranges += uses
        elif reply.status == 304:
            self._counts.not_modified += uses
        for cell in reply.cells:
            cell.entry.hits += uses

    def clear(self) -> None:
        """Forget all, once a second at least: what is kept holds on to slices that may be evicted."""
        self.settle()
        self.known.clear()
        self._replies.clear()
        for hit in self._hits:
            hit.ready.clear()
        self._hits.clear()
        self._bytes = 0
