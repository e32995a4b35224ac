"""What the serving path is compared with in the replay: each ranks the whole catalogue, sees no future, updates its
state online."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from inference.training.factors import FactorPlan, fit_item_factors
from inference.training.replay import LIKED, SKIPPED, Interactions

Scores = NDArray[np.floating]


class DensePeer(ABC):
    """Keeps histories; a subclass scores all items. NaN never wins: scores are checked."""

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items
        self.liked: dict[int, list[int]] = {}
        self._met: dict[int, set[int]] = {}

    @abstractmethod
    def scores(self, viewer: int, now_s: float) -> Scores:
        """(n_items,)."""

    def top(self, viewer: int, k: int, *, now_s: float) -> list[int]:
        scores = self.scores(viewer, now_s).astype(np.float64).copy()
        assert np.isfinite(scores).all(), type(self).__name__
        scores[list(self._met.get(viewer, ()))] = -np.inf
        scores += 1e-9 * np.random.default_rng(viewer).random(self.n_items)  # ties in no useful order
        return [int(item) for item in np.argsort(-scores)[:k]]

    def learn(self, viewer: int, item: int, verdict: int, *, now_s: float) -> None:
        self._met.setdefault(viewer, set()).add(item)
        if verdict == LIKED:
            self.liked.setdefault(viewer, []).append(item)


class Popularity(DensePeer):
    """Likes so far, halved every `half_life_days` (infinite: all time)."""

    def __init__(self, n_items: int, *, half_life_days: float) -> None:
        super().__init__(n_items)
        self._half_life_s = half_life_days * 86_400
        self._value = np.zeros(n_items)
        self._at_s = 0.0

    def scores(self, viewer: int, now_s: float) -> Scores:
        return self._value

    def learn(self, viewer: int, item: int, verdict: int, *, now_s: float) -> None:
        super().learn(viewer, item, verdict, now_s=now_s)
        self._value *= 2 ** (-(now_s - self._at_s) / self._half_life_s)
        self._at_s = now_s
        self._value[item] += verdict == LIKED


class ItemMatrix(DensePeer):
    """Sum of an item-item matrix's rows over the liked history: itemKNN and EASE."""

    def __init__(self, weights: NDArray[np.float32]) -> None:
        super().__init__(len(weights))
        self._weights = weights

    def scores(self, viewer: int, now_s: float) -> Scores:
        history = self.liked.get(viewer)
        return self._weights[history].sum(axis=0) if history else np.zeros(self.n_items)


def cosine_neighbours(
    events: Interactions, n_items: int, *, shrink: float = 20.0, keep: int = 100
) -> NDArray[np.float32]:
    """itemKNN: shrunk cosine of co-likes, the `keep` nearest per item."""
    liked = events.verdict == LIKED
    matrix = np.zeros((int(events.viewer.max()) + 1, n_items), np.float32)
    matrix[events.viewer[liked], events.item[liked]] = 1
    gram = matrix.T @ matrix
    counts = np.diag(gram).copy()
    np.fill_diagonal(gram, 0)
    weights = gram / (np.sqrt(np.outer(counts, counts)) + shrink)
    floor = np.sort(weights, axis=0)[-min(keep, n_items)]
    return np.where(weights >= floor, weights, 0).astype(np.float32)


class FoldIn(DensePeer):
    """iALS: the viewer's factor is solved anew from the liked history (closed form)."""

    def __init__(self, factors: NDArray[np.float32], n_items: int, *, plan: FactorPlan) -> None:
        super().__init__(n_items)
        self._factors = np.zeros((n_items, factors.shape[1]), np.float32)
        self._factors[: len(factors)] = factors
        self._gram = plan.unobserved * (self._factors.T @ self._factors)
        self._plan = plan

    def scores(self, viewer: int, now_s: float) -> Scores:
        history = self.liked.get(viewer)
        if not history:
            return np.zeros(self.n_items)
        seen = self._factors[history]
        penalty = self._plan.regularisation * (len(history) + self._plan.unobserved * self.n_items)
        a = self._gram + seen.T @ seen + penalty * np.eye(seen.shape[1], dtype=np.float32)
        return self._factors @ np.linalg.solve(a, seen.sum(axis=0))


class MeanOf(DensePeer):
    """Dot product with the mean of the liked items' vectors: BPR's fold-in for viewers it has not seen."""

    def __init__(self, vectors: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        super().__init__(len(vectors))
        self._vectors, self._bias = vectors, bias

    def scores(self, viewer: int, now_s: float) -> Scores:
        history = self.liked.get(viewer)
        return self._vectors @ self._vectors[history].mean(axis=0) + self._bias if history else self._bias


class OneMean(DensePeer):
    """The first version's viewer: .9 / .1 running mean, +1 for liked, -.5 for skipped, nothing else."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        super().__init__(len(vectors))
        self._vectors = vectors
        self._mean: dict[int, NDArray[np.float32]] = {}

    def scores(self, viewer: int, now_s: float) -> Scores:
        mean = self._mean.get(viewer)
        return self._vectors @ mean if mean is not None else np.zeros(self.n_items)

    def learn(self, viewer: int, item: int, verdict: int, *, now_s: float) -> None:
        super().learn(viewer, item, verdict, now_s=now_s)
        signal = {LIKED: 1.0, SKIPPED: -0.5}.get(verdict, 0.0)
        if signal:
            before = self._mean.get(viewer, np.zeros(256, np.float32))
            self._mean[viewer] = 0.9 * before + 0.1 * np.float32(signal) * self._vectors[item]


def train_bpr(
    events: Interactions, n_items: int, *, dimensions: int = 64, epochs: int = 30, rate: float = 0.05, seed: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bayesian personalised ranking (Rendle et al. 2009) by mini-batch SGD: item vectors and biases."""
    liked = events.verdict == LIKED
    viewers, items = events.viewer[liked], events.item[liked]
    rng = np.random.default_rng(seed)
    users = 0.1 * rng.standard_normal((int(events.viewer.max()) + 1, dimensions)).astype(np.float32)
    vectors = 0.1 * rng.standard_normal((n_items, dimensions)).astype(np.float32)
    bias = np.zeros(n_items, np.float32)
    for _ in range(epochs):
        order = rng.permutation(len(viewers))
        for start in range(0, len(order), 256):
            at = order[start : start + 256]
            user, good, bad = viewers[at], items[at], rng.integers(n_items, size=len(at))
            margin = (users[user] * (vectors[good] - vectors[bad])).sum(axis=1) + bias[good] - bias[bad]
            pull = (1 / (1 + np.exp(margin)))[:, None].astype(np.float32)
            change_user = pull * (vectors[good] - vectors[bad]) - 0.01 * users[user]
            change_good = pull * users[user] - 0.01 * vectors[good]
            change_bad = -pull * users[user] - 0.01 * vectors[bad]
            np.add.at(users, user, rate * change_user)
            np.add.at(vectors, good, rate * change_good)
            np.add.at(vectors, bad, rate * change_bad)
            np.add.at(bias, good, rate * (pull[:, 0] - 0.01 * bias[good]))
            np.add.at(bias, bad, rate * (-pull[:, 0] - 0.01 * bias[bad]))
    return vectors, bias


def factors_of(events: Interactions, plan: FactorPlan) -> NDArray[np.float32]:
    liked = events.verdict == LIKED
    return fit_item_factors(events.viewer[liked], events.item[liked], plan=plan)
