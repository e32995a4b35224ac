"""Counting requests: by what the cache did and why it missed; read by metrics, the access log and heartbeats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """What happened to a request. A closed set: it is a metric label."""

    HIT = "hit"
    HIT_STALE = "hit_stale"
    REVALIDATED = "revalidated"
    MISS_COLD = "miss_cold"
    MISS_EVICTED = "miss_evicted"
    MISS_EXPIRED = "miss_expired"
    MISS_PURGED = "miss_purged"
    BYPASS = "bypass"
    REFUSED = "refused"
    ERROR = "error"


HITS = (Outcome.HIT, Outcome.HIT_STALE, Outcome.REVALIDATED)


@dataclass(slots=True)
class FastCounts:
    """Of the fast lane. Plain integers: an attribute costs less than a dictionary."""

    hits: int = 0
    bytes: int = 0
    ranges: int = 0
    not_modified: int = 0


def _nothing() -> None:
    """Nothing waits to be added up."""


@dataclass(slots=True)
class Tally:
    """Totals since start."""

    fast_lane: FastCounts = field(default_factory=FastCounts)
    """For those who count; read `fast`."""
    settle: Callable[[], None] = _nothing
    """Adds to `fast_lane` what was answered but not counted yet."""
    requests: Counter[tuple[Outcome, int]] = field(default_factory=Counter)
    """By outcome and status class (2 for 2xx), slow lane."""
    body_bytes: Counter[Outcome] = field(default_factory=Counter)
    cmcd_requests: int = 0
    cmcd_starting: int = 0
    cmcd_starved: int = 0
    """Requests whose player said that its buffer ran dry since the last one."""
    coded: int = 0
    """Bodies gzipped."""
    collapsed: int = 0
    truncated: int = 0
    left: int = 0
    """Viewers that closed their connection before the answer was whole."""
    seconds: float = 0.0
    """Time spent answering in the slow lane."""

    def note(self, outcome: Outcome, *, status: int, body_bytes: int, seconds: float) -> None:
        self.requests[(outcome, status // 100)] += 1
        self.body_bytes[outcome] += body_bytes
        self.seconds += seconds

    @property
    def fast(self) -> FastCounts:
        """The fast lane's counts, up to date."""
        self.settle()
        return self.fast_lane

    @property
    def total(self) -> int:
        return self.fast.hits + sum(self.requests.values())

    @property
    def hits(self) -> int:
        return self.fast.hits + sum(n for (outcome, _), n in self.requests.items() if outcome in HITS)
