"""Order by quality and difference: greedy maximisation of a determinantal point process in a sliding window.

Kernel L_ij = q_i q_j v_i.v_j with q = exp(theta / (2 (1 - theta)) z), Chen et al., NeurIPS 2018 (fast greedy MAP).
The window starts with what the viewer just saw, so a page boundary repeats nothing. Creators and sounds have hard
caps before that.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiversityPolicy:
    theta: float = 0.65
    """0 ignores quality, towards 1 ignores difference."""
    window: int = 8
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
    150 x 256 to 24: about 0.3 ms.
    """
    n = len(scores)
    if not n:
        return np.zeros(0, np.int64)
    keep = policy.window - 1
    strength = policy.theta / (1 - policy.theta)
    bias = (strength * (scores - scores.mean()) / max(float(scores.std()), 1e-6)).astype(np.float32)
    spread = float(bias.max() - bias.min()) - float(np.log(_NEAREST)) + 1.0  # more than quality and distance can differ
    creators = _Cap(group.creators, shown_creators, bias, cap=policy.creator_cap, keep=keep, penalty=2 * spread)
    sounds = _Cap(group.sounds, shown_sounds, bias, cap=policy.sound_cap, keep=keep, penalty=spread)
    similarity = vectors @ vectors.T  # of a matrix with itself: half the work of any other product
    window = _Window(similarity)
    window.shown(shown_vectors[-keep:] @ vectors.T)
    chosen: list[int] = []
    gain = np.empty(n, np.float32)
    for step in range(min(k, n)):
        if step and step % keep == 0:
            window.restart(chosen[-keep:])
        np.log(window.residual, out=gain)
        np.add(gain, bias, out=gain)
        pick = int(gain.argmax())
        chosen.append(pick)
        window.add(pick)
        creators.add(pick)
        sounds.add(pick)
        bias[pick] = -np.inf
    return np.array(chosen, np.int64)


_NEAREST = 1e-4
"""Least squared distance from the window that counts: below it a candidate is in the window's span."""


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
        self._keys: list[int] = keys.tolist()
        self._members: dict[int, list[int]] = {}
        for at, key in enumerate(self._keys):
            self._members.setdefault(key, []).append(at)
        self._bias = bias
        self._cap = cap
        self._keep = keep
        self._penalty = penalty
        self._counts: dict[int, int] = {}
        self._window: deque[int] = deque()
        for key in shown[-keep:]:
            self._enter(key)

    def add(self, pick: int) -> None:
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


class _Window:
    """Squared distance of every candidate from the span of the window, by an incremental Cholesky factor (Chen et
    al.)."""

    def __init__(self, similarity: NDArray[np.float32]) -> None:
        """similarity (n, n) of the candidates."""
        n = len(similarity)
        self._similarity = similarity
        self._rows = np.empty((_MOST_IN_WINDOW, n), np.float32)
        self._used = 0
        self._square = np.empty(n, np.float32)
        self.residual = np.ones(n, np.float32)

    def shown(self, similarity: NDArray[np.float32]) -> None:
        """Begin with videos shown before, (m, n) to the candidates: few, each taken alone as if far from the others."""
        self._begin(similarity)

    def restart(self, chosen: list[int]) -> None:
        """Begin anew with these candidates alone: their factor in one step instead of one by one."""
        rows = self._similarity[chosen]
        kernel = rows[:, chosen]
        kernel.flat[:: len(chosen) + 1] += np.float32(_NEAREST)  # what is in the span of the others stays solvable
        self._begin(np.linalg.solve(np.linalg.cholesky(kernel), rows))

    def _begin(self, rows: NDArray[np.float32]) -> None:
        self._used = len(rows)
        self._rows[: self._used] = rows
        self.residual = np.maximum(1.0 - np.einsum("ij,ij->j", rows, rows), np.float32(_NEAREST))

    def add(self, number: int) -> None:
        """Take a candidate into the window."""
        distance = float(self.residual[number])
        if distance <= _NEAREST or self._used == len(self._rows):
            return  # in the span already
        used = self._rows[: self._used]
        row = self._rows[self._used]
        np.subtract(self._similarity[number], used[:, number] @ used, out=row)
        row *= np.float32(distance**-0.5)
        self._used += 1
        np.multiply(row, row, out=self._square)
        self.residual -= self._square
        np.maximum(self.residual, _NEAREST, out=self.residual)


_MOST_IN_WINDOW = 24
