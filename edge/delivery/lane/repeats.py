"""Answers by the exact bytes of a request: who asks the same again within the second gets the same bytes.

Age, ttl and Date-like things are whole seconds, so between two turns of the second the answer to a request head cannot
differ, unless what is stored changes, and then its repeats are ended (`PreparedHit.end`). Everything that decides about
a request (fields, token, range, variant) is in its bytes, so equal bytes need no second look at them.
"""

from __future__ import annotations

from edge.delivery.lane.prepared_hit import PreparedHit, Reply
from edge.delivery.tally import FastCounts

MAX_REPEATS = 2_048
"""Distinct requests remembered in one second: what remembering may cost is bounded where no request comes twice."""
MAX_REQUEST_BYTES = 2_048
MAX_ANSWER_BYTES = 64 << 20
"""Of all answers remembered; most are slices that the RAM tier holds anyway."""
JOIN_BYTES = 16_384
"""Bodies up to this are joined with their head into one buffer: one small copy is cheaper than a second buffer."""


class Repeat:
    """What a request was answered. Whoever sends it again adds 1 to `uses`."""

    __slots__ = ("buffers", "is_not_modified", "is_range", "reply", "until_s", "uses", "whole")

    def __init__(self, reply: Reply, *, until_s: float, is_range: bool, is_not_modified: bool) -> None:
        self.reply = reply
        self.until_s = until_s
        self.uses = 0
        self.is_range = is_range
        self.is_not_modified = is_not_modified
        self.whole = reply.joined() if reply.size <= JOIN_BYTES else b""
        """Head and body in one, if short."""
        self.buffers = [reply.head, *reply.body]

    def settle(self, counts: FastCounts) -> None:
        """Add the uses to the counts, and to what eviction knows of the slices."""
        uses, self.uses = self.uses, 0
        counts.hits += uses
        counts.bytes += uses * self.reply.size
        counts.ranges += uses * self.is_range
        counts.not_modified += uses * self.is_not_modified
        for cell in self.reply.cells:
            cell.entry.hits += uses


class Repeats:
    def __init__(self, counts: FastCounts) -> None:
        self.known: dict[bytes, Repeat] = {}
        """By request head. Never replaced: connections look up here directly."""
        self._counts = counts
        self._bytes = 0
        self._until_s = 0.0

    def remember(self, request: bytes, hit: PreparedHit, reply: Reply, *, now_s: float, until_s: float) -> None:
        """`reply` answers `request` until `until_s`, or the end of this second, or the end of the hit."""
        if now_s >= self._until_s:
            self.clear()
            self._until_s = float(int(now_s) + 1)
        if (
            len(request) > MAX_REQUEST_BYTES
            or len(self.known) >= MAX_REPEATS
            or self._bytes + reply.size > MAX_ANSWER_BYTES
        ):
            return
        repeat = Repeat(
            reply,
            until_s=min(until_s, hit.until_second_s, hit.fresh_until_s),
            is_range=reply.head.startswith(b"HTTP/1.1 206"),
            is_not_modified=reply.head.startswith(b"HTTP/1.1 304"),
        )
        self._bytes += reply.size
        self.known[request] = repeat
        hit.descendants.append(repeat)

    def settle(self) -> None:
        """Bring the counts up to date."""
        for repeat in self.known.values():
            if repeat.uses:
                repeat.settle(self._counts)

    def clear(self) -> None:
        """Forget all, once a second at least: what is remembered holds on to slices that may be evicted."""
        self.settle()
        self.known.clear()
        self._bytes = 0
