"""Belady's rule with sizes: throw out what is used again last. It needs the future, so it bounds what policies can do.

With objects of different sizes it is no longer strictly the best, but nothing online comes near it.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from edge.delivery.simulation.replay import Counter, MissRatios
from edge.delivery.simulation.trace import Use

_NEVER = 1 << 62


def replay_belady(uses: Sequence[Use], capacity: int) -> MissRatios:
    """Miss ratios at `capacity` bytes. An object not used again is not taken in."""
    next_use = _next_uses(uses)
    held: dict[str, int] = {}
    sizes: dict[str, int] = {}
    furthest: list[tuple[int, str]] = []
    used = 0
    counter = Counter()
    for number, use in enumerate(uses):
        again = next_use[number]
        missed = use.key not in held
        counter.note(use, missed=missed)
        if missed:
            if again == _NEVER or use.size > capacity:
                continue
            used += use.size
            sizes[use.key] = use.size
        held[use.key] = again
        heapq.heappush(furthest, (-again, use.key))
        while used > capacity:
            when, key = heapq.heappop(furthest)
            if held.get(key) == -when:  # else: filed again since
                del held[key]
                used -= sizes.pop(key)
    return counter.ratios()


def _next_uses(uses: Sequence[Use]) -> list[int]:
    following: dict[str, int] = {}
    found = [_NEVER] * len(uses)
    for number in range(len(uses) - 1, -1, -1):
        found[number] = following.get(uses[number].key, _NEVER)
        following[uses[number].key] = number
    return found
