"""Videos, viewers and reactions. All hidden quantities live here; policies see vectors, lengths and watch reports only.

Durations follow a published short-video log (log-normal, median 81 s, log-sd 1.03, cut to 5-300 s); a few creators
make many videos; a video's content vector is a noisy view of its hidden factors, and its quality is not in the vector
at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.feed.watch_quantile import WatchQuantiles

HIDDEN = 24
TOPICS = 30
_CONTENT_NOISE = 0.9
"""Length of the noise in a content vector against 1 for the signal: cosine to the truth about .74."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Videos:
    """(n, ...) hidden factors (unit rows), quality ~ N(0, 1), seconds, creators, topics, content vectors (n, 256)."""

    factors: NDArray[np.float32]
    quality: NDArray[np.float32]
    duration_s: NDArray[np.float32]
    creator: NDArray[np.int64]
    topic: NDArray[np.int64]
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.quality)


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewers:
    """Each likes `share`-weighted topics' directions: interests (n, 4, HIDDEN) unit rows, shares (n, 4) sum 1."""

    interests: NDArray[np.float32]
    shares: NDArray[np.float32]
    leniency: NDArray[np.float32]
    """Added to every affinity: some watch anything."""

    def __len__(self) -> int:
        return len(self.leniency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """What the player would report, and the truth behind it."""

    watched_s: float
    liked: bool
    shared: bool
    affinity: float


class World:
    """Made from a seed; `react` uses the generator it is given."""

    def __init__(self, *, videos: int, viewers: int, seed: int, quantiles: WatchQuantiles) -> None:
        rng = np.random.default_rng(seed)
        self._quantiles = quantiles
        # One map from hidden factors to the vector space, the same in every world of this release
        self._map = np.linalg.qr(np.random.default_rng(99).standard_normal((256, HIDDEN)))[0].T.astype(np.float32)
        self._topics = _unit(rng.standard_normal((TOPICS, HIDDEN)))
        popularity = 1.0 / np.arange(1, TOPICS + 1) ** 0.6
        self._topic_share = popularity / popularity.sum()
        self.videos = self._make_videos(videos, rng)
        self.viewers = self._make_viewers(viewers, rng)

    def affinity(self, viewer: int, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(k,) true liking: best matching interest + quality + leniency; about N(0, 1) over random pairs."""
        match = self.viewers.interests[viewer] @ self.videos.factors[rows].T  # (4, k)
        weighted = match * (0.6 + 1.6 * self.viewers.shares[viewer][:, None])
        liking: NDArray[np.float32] = (
            2.2 * weighted.max(axis=0) + 0.55 * self.videos.quality[rows] + self.viewers.leniency[viewer] - 0.75
        )
        return liking

    def react(self, viewer: int, row: int, rng: np.random.Generator, *, fatigue: float) -> Reaction:
        """One watch. `fatigue` >= 0 lowers the affinity (too much of one topic in a row)."""
        affinity = float(self.affinity(viewer, np.array([row]))[0]) - fatigue
        quantile = 1 / (1 + np.exp(-1.5 * affinity - 0.9 * rng.standard_normal()))
        if rng.random() < 0.06:  # the phone rang, or was left alone
            quantile = rng.random()
        duration = float(self.videos.duration_s[row])
        return Reaction(
            watched_s=self._quantiles.seconds(duration_s=duration, quantile=float(quantile)),
            liked=bool(rng.random() < 0.5 / (1 + np.exp(-2.0 * (affinity - 1.6)))),
            shared=bool(rng.random() < 0.12 / (1 + np.exp(-2.0 * (affinity - 2.0)))),
            affinity=affinity,
        )

    def quantile(self, row: int, reaction: Reaction) -> float:
        """The watch quantile that a reaction shows as."""
        return self._quantiles.quantile(duration_s=float(self.videos.duration_s[row]), watched_s=reaction.watched_s)

    def _make_videos(self, count: int, rng: np.random.Generator) -> Videos:
        topic = rng.choice(TOPICS, size=count, p=self._topic_share)
        factors = _unit(self._topics[topic] + 0.25 * rng.standard_normal((count, HIDDEN)))
        noise = _CONTENT_NOISE * rng.standard_normal((count, 256)) / 16
        creators = max(count // 4, 1)
        activity = rng.pareto(1.6, creators) + 0.2
        return Videos(
            factors=factors,
            quality=rng.standard_normal(count).astype(np.float32),
            duration_s=np.clip(np.exp(rng.normal(4.0, 1.0, count)), 5, 300).astype(np.float32),
            creator=1 + rng.choice(creators, size=count, p=activity / activity.sum()),
            topic=topic.astype(np.int64),
            vectors=_unit(factors @ self._map + noise),
        )

    def _make_viewers(self, count: int, rng: np.random.Generator) -> Viewers:
        topics = np.stack([rng.choice(TOPICS, size=4, replace=False, p=self._topic_share) for _ in range(count)])
        interests = self._topics[topics] + 0.2 * rng.standard_normal((count, 4, HIDDEN))
        return Viewers(
            interests=_unit(interests),
            shares=rng.dirichlet([3, 2, 1, 1], size=count).astype(np.float32),
            leniency=(0.35 * rng.standard_normal(count)).astype(np.float32),
        )


def _unit(matrix: NDArray[np.floating]) -> NDArray[np.float32]:
    norms = np.linalg.norm(matrix, axis=-1, keepdims=True)
    unit: NDArray[np.float32] = (matrix / np.maximum(norms, 1e-9)).astype(np.float32)
    return unit
