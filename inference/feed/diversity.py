"""Order by quality and difference: each place takes the best score less how alike it is to the places before it.

The likeness to each of the last `window - 1` videos is added up, so a third video of a kind costs more than a second.
The window starts with what the viewer just saw, so a page boundary repeats nothing. Creators and sounds have hard
caps besides. Why a sum and not a determinant (DPP): docs/decisions/0308.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.feed.deviation import deviations

Rows = NDArray[np.int64]
Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiversityPolicy:
    theta: float = 0.6
    """0 ignores quality, towards 1 ignores difference."""
    window: int = 8
    """Places that are looked at together, 2 or more."""
    creator_cap: int = 1
    """Videos of one creator in a window."""
    sound_cap: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What the caps look at, per candidate: (n,) creator and sound ids, sound 0 is none."""

    creators: NDArray[np.int64]
    sounds: NDArray[np.int64]


def diversify(
    scores: NDArray[np.float32],
    vectors: NDArray[np.float32],
    group: Group,
    *,
    k: int,
    shown_vectors: NDArray[np.float32],
    shown_creators: list[int],
    shown_sounds: list[int],
    policy: DiversityPolicy,
) -> Rows:
    """Positions 0..n-1 in final order, min(k, n) of them.

    scores (n,) finite; vectors (n, 256) unit rows or zero rows; shown_* are of the last videos, newest last. When
    caps leave nothing the sounds' cap gives way for that place, then the creators': a page is never shortened.
    100 x 256 to 24: about 0.2 ms.
    """
    n = len(scores)
    if not n:
        return np.zeros(0, np.int64)
    keep = policy.window - 1
    strength = policy.theta / (1 - policy.theta)
    apart, deviation = deviations(scores)
    bias = (strength * apart / max(deviation, 1e-6)).astype(np.float32)
    cosines = vectors @ vectors.T  # of a matrix with itself: half the work of any other product
    cosines.flat[:: n + 1] = 0.0
    unit = keep * max(float(cosines.std()), _LEAST_SPREAD)
    likeness, shown = _likeness(cosines, unit), _likeness(shown_vectors[-keep:] @ vectors.T, unit)
    spread = float(bias.max() - bias.min()) + keep * _MOST  # more than quality and likeness can differ
    creators = _Cap(group.creators, shown_creators, bias, cap=policy.creator_cap, keep=keep, penalty=2 * spread)
    sounds = _Cap(group.sounds, shown_sounds, bias, cap=policy.sound_cap, keep=keep, penalty=spread)
    window = deque(shown)
    alike = shown.sum(axis=0)
    chosen: list[int] = []
    for _ in range(min(k, n)):
        pick = int((bias - alike).argmax())
        chosen.append(pick)
        window.append(likeness[pick])
        alike += likeness[pick]
        if len(window) > keep:
            alike -= window.popleft()
        creators.add(pick)
        sounds.add(pick)
        bias[pick] = -np.inf
    return np.array(chosen, np.int64)


_LEAST_SPREAD = 0.05
"""Spread of cosines below which they are noise: unit vectors at random in 256 dimensions have .06."""
_NEAREST = 1e-4
"""Least 1 - cosine^16 that counts."""
_MOST = 1 / _LEAST_SPREAD - float(np.log(_NEAREST))
"""More than the likeness of any pair."""


def _likeness(cosines: Matrix, unit: float) -> Matrix:
    """How alike two videos are, in the unit of z-scores of quality.

    Cosines in units of their own spread times the window's length: a space whose cosines are small (content: .2 within
    a topic) counts as much as one where they are large. To that comes -log(1 - cosine^16), which only near-duplicates
    feel (.2 at a cosine of .9, 4 at .999).
    """
    power = cosines * cosines
    for _ in range(3):
        power *= power
    likeness: Matrix = cosines / np.float32(unit) - np.log(np.maximum(1.0 - power, np.float32(_NEAREST)))
    return likeness


class _Cap:
    """Lowers the bias of candidates whose key fills its cap within the last `keep` places, and raises it again."""

    def __init__(
        self,
        keys: NDArray[np.int64],
        shown: list[int],
        bias: NDArray[np.float32],
        *,
        cap: int,
        keep: int,
        penalty: float,
    ) -> None:
        self._members = _crowded(keys.tolist(), shown[-keep:], cap=cap)
        self._keys: list[int] = keys.tolist() if self._members else []
        self._bias = bias
        self._cap = cap
        self._keep = keep
        self._penalty = penalty
        self._counts: dict[int, int] = {}
        self._window: deque[int] = deque()
        if self._members:
            for key in shown[-keep:]:
                self._enter(key)

    def add(self, pick: int) -> None:
        if self._members:
            self._enter(self._keys[pick])

    def _enter(self, key: int) -> None:
        self._window.append(key)
        if key:  # 0 is "no sound"
            count = self._counts[key] = self._counts.get(key, 0) + 1
            if count == self._cap:
                self._shift(key, -self._penalty)
        if len(self._window) > self._keep:
            self._leave(self._window.popleft())

    def _leave(self, key: int) -> None:
        if key:
            count = self._counts[key] = self._counts[key] - 1
            if count == self._cap - 1:
                self._shift(key, self._penalty)

    def _shift(self, key: int, change: float) -> None:
        for at in self._members.get(key, ()):
            self._bias[at] += change


def _crowded(keys: list[int], shown: list[int], *, cap: int) -> dict[int, list[int]]:
    """The candidates of each key that can fill its cap at all: most keys come once, and need no counting."""
    often = {key for key, count in Counter(keys + shown).items() if key and count > cap}
    members: dict[int, list[int]] = {}
    if often:
        for at, key in enumerate(keys):
            if key in often:
                members.setdefault(key, []).append(at)
    return members
