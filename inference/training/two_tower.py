"""Trains a learned space (`inference.feed.space`): item and query tower against a softmax over videos, in numpy.

A viewer's history becomes the same six decayed sums that a PoP keeps, at every event, as one triangular matrix of
decays per window times the item vectors; the query tower turns them into a search vector; the video liked next must
win the softmax. Gradients flow through the sums into the item vectors. A video is its content tower plus a residual of
its own, which is left out for a random share of the videos of each batch (ID dropout, Volkovs et al. 2017), so that
content alone places a video nobody has watched. Deterministic by seed; torch is not needed: two matrices per tower.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.feed.space import COUNTS, Layers, LearnedSpace
from inference.feed.taste import DIMENSIONS, DISLIKE_HALF_LIVES, LIKE_HALF_LIVES, SUMS
from inference.training.adam import Adam

Matrix = NDArray[np.float32]
_HALF_LIVES = np.array((*LIKE_HALF_LIVES, *DISLIKE_HALF_LIVES), np.float32)
_WINDOW = 100
"""Events predicted per window; as many before them are only history."""
_LEAST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Histories:
    """(n,) events in time order: dense viewer and item, seconds, how much it was liked and disliked (both >= 0)."""

    viewer: NDArray[np.int64]
    item: NDArray[np.int64]
    at_s: NDArray[np.float64]
    liking: NDArray[np.float32]
    dislike: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TowerPlan:
    epochs: int = 5
    batch_windows: int = 16
    hidden: int = 128
    rate: float = 1e-3
    dropout: float = 0.3
    """Of the query tower's inputs and hidden layer."""
    id_dropout: float = 0.3
    scale: float = 12.0
    """Of cosines in the softmax at the start; learned."""
    negatives: int = 2000
    """Videos in a batch's softmax beside those in the batch itself; with fewer videos, all."""
    liked_from: float = 0.3
    """Least liking of a watch that is worth predicting."""
    seed: int = 1


def train_space(
    histories: Histories,
    *,
    content: Matrix,
    has_content: NDArray[np.bool_],
    start: Matrix,
    video_ids: NDArray[np.int64],
    plan: TowerPlan,
    name: str,
    content_space: str,
) -> LearnedSpace:
    """A space from histories; `content` (n, 256) unit rows where has_content (n,), `start` (n, 256) unit rows to begin
    with for what content does not say (iALS), video_ids (n,) sorted. CPU-bound: 8 s an epoch at 80,000 events and
    1,700 videos."""
    towers = _Towers(content, has_content, start, plan)
    windows = list(_windows(histories, plan))
    rng = np.random.default_rng(plan.seed)
    shares = _liked_shares(histories, len(video_ids), plan)
    steps, done = plan.epochs * -(-len(windows) // plan.batch_windows), 0
    for _ in range(plan.epochs):
        order = rng.permutation(len(windows))
        for at in range(0, len(order), plan.batch_windows):
            batch = [windows[number] for number in order[at : at + plan.batch_windows]]
            towers.step(batch, shares, rng, rate=plan.rate * 0.5 * (1 + np.cos(np.pi * done / steps)))
            done += 1
    watched = np.bincount(histories.item, minlength=len(video_ids)) > 0
    return towers.space(name=name, content_space=content_space, video_ids=video_ids, watched=watched)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    items: NDArray[np.int64]
    """(w,) events of one viewer."""
    decays: Matrix
    """(t, SUMS, w): weight of each event in each sum, before each of the t events to predict."""
    counts: Matrix
    """(t, COUNTS)."""
    targets: NDArray[np.int64]
    """(t,) items liked next."""


def _windows(histories: Histories, plan: TowerPlan) -> Iterator[_Window]:
    order = np.lexsort((np.arange(len(histories.viewer)), histories.viewer))
    ends = np.flatnonzero(np.diff(histories.viewer[order], append=-1)) + 1
    for mine in np.split(order, ends[:-1]):
        for first in range(0, len(mine), _WINDOW):
            part = mine[max(first - _WINDOW, 0) : first + _WINDOW]
            window = _window(histories, part, first=min(first, _WINDOW), plan=plan)
            if len(window.targets):
                yield window


def _window(histories: Histories, part: NDArray[np.int64], *, first: int, plan: TowerPlan) -> _Window:
    """Every liked event from `first` on that something liked came before, predicted from what is strictly older."""
    at_s, liking, dislike = histories.at_s[part], histories.liking[part], histories.dislike[part]
    number = np.arange(len(part))
    likes_before = np.array([(liking[:n] > 0)[at_s[:n] < at_s[n]].sum() for n in number])
    wanted = np.flatnonzero((liking >= plan.liked_from) & (likes_before > 0) & (number >= first))
    older = at_s[None, :] < at_s[wanted, None]
    age = np.maximum(wanted[:, None] - number[None, :] - 1, 0)
    weight = np.where(np.arange(SUMS)[:, None] < len(LIKE_HALF_LIVES), liking, dislike)  # (SUMS, w)
    decays = np.exp2(-age[:, None, :] / _HALF_LIVES[:, None]) * weight * older[:, None, :]
    skips = (older * (dislike > 0.5)).sum(axis=1) / np.maximum(older.sum(axis=1), 1)
    counts = np.stack([np.log1p(likes_before[wanted]), skips], axis=1).astype(np.float32)
    items = histories.item[part]
    return _Window(items=items, decays=decays.astype(np.float32), counts=counts, targets=items[wanted])


def _liked_shares(histories: Histories, n_items: int, plan: TowerPlan) -> NDArray[np.float64]:
    """(n_items,) share of the liked events that are of each item: how often a batch brings it along."""
    counts = np.bincount(histories.item[histories.liking >= plan.liked_from], minlength=n_items)
    shares: NDArray[np.float64] = counts / max(int(counts.sum()), 1)
    return shares


class _Towers:
    """The parameters and one step of gradient descent."""

    def __init__(self, content: Matrix, has_content: NDArray[np.bool_], start: Matrix, plan: TowerPlan) -> None:
        rng = np.random.default_rng(plan.seed + 1)
        self._plan = plan
        self._content = np.where(has_content[:, None], content, 0).astype(np.float32)
        self._has = has_content
        self._own = start + 0.01 * rng.standard_normal(start.shape).astype(np.float32)
        wide, eye = SUMS * DIMENSIONS + COUNTS, np.eye(DIMENSIONS, dtype=np.float32)
        self._net = {
            "tower_first": np.concatenate([eye, -eye], axis=1),  # relu(x) - relu(-x): it starts as the content space
            "tower_first_bias": np.zeros(2 * DIMENSIONS, np.float32),
            "tower_second": np.concatenate([eye, -eye]),
            "tower_second_bias": np.zeros(DIMENSIONS, np.float32),
            "query_first": _normal(rng, wide, plan.hidden),
            "query_first_bias": np.zeros(plan.hidden, np.float32),
            "query_second": np.zeros((plan.hidden, DIMENSIONS), np.float32),
            "query_second_bias": np.zeros(DIMENSIONS, np.float32),
            "mix": np.array([0.25, 0.35, 0.3, 0.1, -0.05, -0.05], np.float32),
            "scale": np.array([np.log(plan.scale)], np.float32),
        }
        self._popularity = np.zeros(len(start), np.float32)
        """Offset of each video in the softmax, in training only: what everybody likes is the popularity's business."""
        self._optimiser = Adam(self.parameters)

    @property
    def parameters(self) -> list[Matrix]:
        """In the order of `gradients`."""
        return [*self._net.values(), self._own, self._popularity]

    def step(
        self, batch: list[_Window], shares: NDArray[np.float64], rng: np.random.Generator, *, rate: float
    ) -> float:
        """One step of Adam; the mean cross-entropy before it."""
        loss, gradients = self.gradients(batch, shares, rng)
        self._optimiser.step(gradients, rate=rate)
        return loss

    def gradients(
        self, batch: list[_Window], shares: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[float, list[Matrix]]:
        """Mean cross-entropy of the batch, and its gradient by every parameter."""
        targets = np.concatenate([window.targets for window in batch])
        rows, correction = self._candidates(batch, targets, shares, rng)
        place = {int(row): at for at, row in enumerate(rows)}
        keep = np.where(self._has[rows], rng.random(len(rows)) >= self._plan.id_dropout, True)[:, None]
        items = _Items(self._net, self._content[rows], self._has[rows], self._own[rows] * keep)
        at = [np.array([place[int(item)] for item in window.items]) for window in batch]
        users = _Users(self._net, batch, [items.unit[rows_of] for rows_of in at], rng, self._plan.dropout)
        scale = np.exp(self._net["scale"][0])
        cosines = users.unit @ items.unit.T
        wanted = np.array([place[int(item)] for item in targets])
        loss, error = _cross_entropy(scale * cosines + self._popularity[rows] - correction, wanted)
        gradient = users.backward(scale * (error @ items.unit))
        to_items = scale * (error.T @ users.unit)
        for rows_of, part in zip(at, users.to_items, strict=True):
            np.add.at(to_items, rows_of, part)
        own, popularity = np.zeros_like(self._own), np.zeros_like(self._popularity)
        own[rows], popularity[rows] = items.backward(to_items, gradient) * keep, error.sum(axis=0)
        gradient["scale"] = np.array([scale * (error * cosines).sum()], np.float32)
        return loss, [*(gradient[name] for name in self._net), own, popularity]

    def _candidates(
        self, batch: list[_Window], targets: NDArray[np.int64], shares: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], Matrix]:
        """Rows of the softmax, sorted, and log of the chance that each is among them (Yi et al. 2019)."""
        n = len(self._own)
        if n <= 2 * self._plan.negatives:
            return np.arange(n), np.zeros(n, np.float32)
        drawn = rng.choice(n, size=self._plan.negatives, replace=False)
        rows = np.unique(np.concatenate([drawn, *(window.items for window in batch)]))
        missed = (1 - self._plan.negatives / n) * (1 - shares[rows]) ** len(targets)
        return rows, np.log(np.maximum(1 - missed, 1e-9)).astype(np.float32)

    def space(
        self, *, name: str, content_space: str, video_ids: NDArray[np.int64], watched: NDArray[np.bool_]
    ) -> LearnedSpace:
        items = _Items(self._net, self._content, self._has, self._own)
        net = self._net
        return LearnedSpace(
            name=name,
            content=content_space,
            video_ids=video_ids[watched],
            vectors=items.unit[watched].astype(np.float16),
            tower=_layers(net, "tower"),
            query=_layers(net, "query"),
            mix=net["mix"],
        )


class _Items:
    """Forward and backward of the item tower over some rows."""

    def __init__(self, net: dict[str, Matrix], content: Matrix, has_content: NDArray[np.bool_], own: Matrix) -> None:
        self._net, self._content, self._has = net, content, has_content[:, None]
        self._hidden = np.maximum(content @ net["tower_first"] + net["tower_first_bias"], 0)
        placed = self._hidden @ net["tower_second"] + net["tower_second_bias"]
        raw = own + np.where(self._has, placed, 0)
        self._length = np.maximum(np.sqrt(np.einsum("ij,ij->i", raw, raw))[:, None], _LEAST)
        self.unit: Matrix = (raw / self._length).astype(np.float32)

    def backward(self, to_unit: Matrix, gradient: dict[str, Matrix]) -> Matrix:
        """Adds the tower's gradients; returns the gradient of `own`."""
        to_raw = _through_norm(to_unit, self.unit, self._length)
        to_placed = np.where(self._has, to_raw, 0)
        to_hidden = (to_placed @ self._net["tower_second"].T) * (self._hidden > 0)
        gradient["tower_second"] = self._hidden.T @ to_placed
        gradient["tower_second_bias"] = to_placed.sum(axis=0)
        gradient["tower_first"] = self._content.T @ to_hidden
        gradient["tower_first_bias"] = to_hidden.sum(axis=0)
        return to_raw


class _Users:
    """Forward and backward of the query tower over a batch of windows."""

    def __init__(
        self,
        net: dict[str, Matrix],
        batch: list[_Window],
        vectors: list[Matrix],
        rng: np.random.Generator,
        dropout: float,
    ) -> None:
        self._net, self._batch = net, batch
        sums = np.concatenate([_summed(window, own) for window, own in zip(batch, vectors, strict=True)])
        self._length = np.maximum(np.sqrt(np.einsum("ijk,ijk->ij", sums, sums))[..., None], _LEAST)
        self._unit_sums = sums / self._length
        x = np.concatenate([self._unit_sums.reshape(len(sums), -1), np.concatenate([w.counts for w in batch])], axis=1)
        self._kept_x = _kept(x.shape, dropout, rng)
        self._x = x * self._kept_x
        self._hidden = np.maximum(self._x @ net["query_first"] + net["query_first_bias"], 0)
        self._kept_hidden = _kept(self._hidden.shape, dropout, rng)
        self._dropped = self._hidden * self._kept_hidden
        raw = np.einsum("k,ikd->id", net["mix"], self._unit_sums)
        raw = raw + self._dropped @ net["query_second"] + net["query_second_bias"]
        self._raw_length = np.maximum(np.sqrt(np.einsum("ij,ij->i", raw, raw))[:, None], _LEAST)
        self.unit: Matrix = (raw / self._raw_length).astype(np.float32)
        self.to_items: list[Matrix] = []

    def backward(self, to_unit: Matrix) -> dict[str, Matrix]:
        """The query tower's gradients; leaves those of the item vectors, per window, in `to_items`."""
        net = self._net
        to_raw = _through_norm(to_unit, self.unit, self._raw_length)
        to_hidden = (to_raw @ net["query_second"].T) * self._kept_hidden * (self._hidden > 0)
        to_x = (to_hidden @ net["query_first"].T) * self._kept_x
        to_sums = to_x[:, : SUMS * DIMENSIONS].reshape(-1, SUMS, DIMENSIONS) + np.einsum(
            "k,id->ikd", net["mix"], to_raw
        )
        to_sums = _through_norm(to_sums, self._unit_sums, self._length)
        start = 0
        for window in self._batch:
            end = start + len(window.targets)
            part = to_sums[start:end].reshape(-1, DIMENSIONS)
            self.to_items.append(window.decays.reshape(len(part), -1).T @ part)
            start = end
        return {
            "query_second": self._dropped.T @ to_raw,
            "query_second_bias": to_raw.sum(axis=0),
            "query_first": self._x.T @ to_hidden,
            "query_first_bias": to_hidden.sum(axis=0),
            "mix": np.einsum("ikd,id->k", self._unit_sums, to_raw),
        }


def _summed(window: _Window, vectors: Matrix) -> Matrix:
    """(t, SUMS, 256): the decayed sums before each target."""
    flat: Matrix = window.decays.reshape(-1, len(vectors)) @ vectors
    return flat.reshape(-1, SUMS, DIMENSIONS)


def _through_norm(to_unit: Matrix, unit: Matrix, length: Matrix) -> Matrix:
    """Gradient of x given that of x / |x|. A zero vector passes nothing on."""
    along = np.einsum("...d,...d->...", to_unit, unit)[..., None]
    through: Matrix = np.where(length > 2 * _LEAST, (to_unit - unit * along) / length, 0).astype(np.float32)
    return through


def _cross_entropy(logits: Matrix, wanted: NDArray[np.int64]) -> tuple[float, Matrix]:
    """Mean loss and its gradient by the logits."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    chance = shifted / shifted.sum(axis=1, keepdims=True)
    at = np.arange(len(wanted))
    loss = float(-np.log(np.maximum(chance[at, wanted], 1e-12)).mean())
    chance[at, wanted] -= 1
    return loss, (chance / len(wanted)).astype(np.float32)


def _kept(shape: tuple[int, ...], dropout: float, rng: np.random.Generator) -> Matrix:
    kept: Matrix = ((rng.random(shape, np.float32) >= dropout) / np.float32(1 - dropout)).astype(np.float32)
    return kept


def _normal(rng: np.random.Generator, rows: int, columns: int) -> Matrix:
    drawn: Matrix = (rng.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)
    return drawn


def _layers(net: dict[str, Matrix], part: str) -> Layers:
    return Layers(
        first=net[f"{part}_first"],
        first_bias=net[f"{part}_first_bias"],
        second=net[f"{part}_second"],
        second_bias=net[f"{part}_second_bias"],
    )
