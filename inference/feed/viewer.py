"""What the recommender must know of the viewer who asks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inference.feed.taste import Taste


def _no_ids() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerState:
    """All id arrays are sorted."""

    taste: Taste
    seen_ids: NDArray[np.int64] = field(default_factory=_no_ids)
    """Videos never to show again in this request: watched, or handed out in this session."""
    following: NDArray[np.int64] = field(default_factory=_no_ids)
    blocked: NDArray[np.int64] = field(default_factory=_no_ids)
    """Creators whose videos never appear (blocked either way, or "not interested" in the creator)."""
    hidden_tags: frozenset[int] = frozenset()
    interests: frozenset[int] = frozenset()
    """Hashes of hashtags from onboarding and "more like this"."""
    region: int = 0
    shown_ids: tuple[int, ...] = ()
    """Last videos handed out, newest last: the diversity window."""
    hour: float = 12.0
    """Local hour of day, 0..24."""


def contains(sorted_ids: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of `ids` are in `sorted_ids`."""
    if not len(sorted_ids) or not len(ids):
        return np.zeros(len(ids), bool)
    at = np.minimum(np.searchsorted(sorted_ids, ids), len(sorted_ids) - 1)
    inside: NDArray[np.bool_] = sorted_ids[at] == ids
    return inside
