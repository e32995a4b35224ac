"""Plays viewers against a policy: sessions of pages, new uploads all the time, until everybody left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.feed.columns import NewVideo
from inference.feed.recommender import Pick
from inference.simulation.policies import FeedPolicy
from inference.simulation.world import Reaction, World

START_S = 1_790_000_000.0
_PAGE = 10
_STEP_S = 30.0
_GOOD_DECILE = 0.9
AFTER = (0, 1, 3, 5, 10, 20, 50)
_ENOUGH = 30
"""Impressions after which a new video counts as discovered."""

_CHANCE, _EARLY, _POOR = 20, 10, 0.42
"""When a new video may lose its quota (`PoolPolicy`)."""

OnPage = Callable[[int, list[Pick], float], None]
OnWatch = Callable[[int, Pick, Reaction, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a policy achieved; higher is better but for `skips` and `creator_gini`."""

    satisfaction: float
    """Mean true affinity per impression."""
    depth: float
    """Mean videos watched before leaving (at most `most_pages` pages)."""
    skips: float
    discovery: float
    """Share of the best tenth of the uploads during the run that got 30 impressions."""
    new_reached: float
    """Share of all uploads (older than a quarter of the run) that got 10 impressions."""
    fair_chance: float
    """Share of the same uploads that got 20 impressions (of a quota of 30, some go to viewers who leave before they
    come to it), or 10 that went badly (mean watch quantile below .42)."""
    diversity: float
    """Mean 1 - cosine between neighbours of a page."""
    creator_gini: float
    first_ten: float
    """Satisfaction over a viewer's first ten impressions."""
    cold_start: tuple[float, ...]
    """Satisfaction after so many videos of the viewer (`AFTER`), up to the next number; 0 where nobody came so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    start_videos: int = 1500
    uploads: int = 200
    """Spread evenly over the run."""
    most_pages: int = 20
    start_age_days: float = 0.0
    """Least age of the videos there at the start; above 2 none of them takes exploration places from the uploads."""
    waves: int = 3
    """Viewers come in this many cohorts, so that uploads find an audience."""


def run(
    world: World,
    policy: FeedPolicy,
    *,
    plan: RunPlan,
    seed: int,
    on_page: OnPage | None = None,
    on_watch: OnWatch | None = None,
) -> Figures:
    """One run; about 4 ms per page for the recommender. The world needs start_videos + uploads videos."""
    rng = np.random.default_rng(seed)
    steps = plan.waves * plan.most_pages
    arrivals = np.linspace(0, steps, plan.uploads, endpoint=False).astype(int)
    for row in range(plan.start_videos):
        _publish(world, policy, row, START_S - (plan.start_age_days + rng.random() * 5) * 86_400)
    played = _Played(world, policy)
    next_upload = plan.start_videos
    for step in range(steps):
        now_s = START_S + step * _STEP_S * _PAGE
        while next_upload < plan.start_videos + plan.uploads and arrivals[next_upload - plan.start_videos] <= step:
            _publish(world, policy, next_upload, now_s)
            next_upload += 1
        wave = step // plan.most_pages
        for viewer in range(wave, len(world.viewers), plan.waves):
            if viewer not in played.gone:
                played.page(viewer, now_s, rng, on_page, on_watch)
    return played.figures(plan)


class _Played:
    """Tallies of a run."""

    def __init__(self, world: World, policy: FeedPolicy) -> None:
        self._world, self._policy = world, policy
        self.gone: set[int] = set()
        self._affinity: list[float] = []
        self._watched_before: list[int] = []
        self._skips = 0
        self._depth = np.zeros(len(world.viewers), np.int64)
        self._shown = np.zeros(len(world.videos), np.int64)
        self._quantiles = np.zeros(len(world.videos))
        self._was_poor = np.zeros(len(world.videos), bool)
        self._contrast: list[float] = []
        self._last_topics: dict[int, list[int]] = {}

    def page(
        self, viewer: int, now_s: float, rng: np.random.Generator, on_page: OnPage | None, on_watch: OnWatch | None
    ) -> None:
        picks = self._policy.page(viewer, count=_PAGE, now_s=now_s, rng=rng)
        if on_page is not None:
            on_page(viewer, picks, now_s)
        rows = np.array([pick.video_id - 1 for pick in picks], np.int64)
        vectors = self._world.videos.vectors[rows]
        if len(rows) > 1:
            self._contrast.append(float(1 - (vectors[:-1] * vectors[1:]).sum(axis=1).mean()))
        for place, (pick, row) in enumerate(zip(picks, rows.tolist(), strict=True)):
            if not self._watch(viewer, pick, row, now_s + place * _STEP_S, rng, on_watch):
                self.gone.add(viewer)
                return

    def _watch(
        self, viewer: int, pick: Pick, row: int, now_s: float, rng: np.random.Generator, on_watch: OnWatch | None
    ) -> bool:
        """Does the viewer stay?"""
        topic = int(self._world.videos.topic[row])
        recent = self._last_topics.setdefault(viewer, [])
        reaction = self._world.react(viewer, row, rng, fatigue=0.15 * max(recent[-6:].count(topic) - 1, 0))
        recent.append(topic)
        self._policy.watched(viewer, pick, reaction, now_s=now_s)
        if on_watch is not None:
            on_watch(viewer, pick, reaction, now_s)
        self._affinity.append(reaction.affinity)
        self._watched_before.append(int(self._depth[viewer]))
        self._depth[viewer] += 1
        self._shown[row] += 1
        self._quantiles[row] += self._world.quantile(row, reaction)
        self._was_poor[row] |= self._shown[row] >= _EARLY and self._quantiles[row] < _POOR * self._shown[row]
        self._skips += reaction.watched_s < 0.2 * float(self._world.videos.duration_s[row])
        return bool(rng.random() > 0.045 / (1 + np.exp(1.3 * (reaction.affinity - 0.3))))

    def figures(self, plan: RunPlan) -> Figures:
        uploads = np.arange(plan.start_videos, plan.start_videos + plan.uploads)
        old_enough = uploads[: int(0.75 * len(uploads))]
        good = self._world.videos.quality[old_enough] >= np.quantile(self._world.videos.quality, _GOOD_DECILE)
        affinity, watched = np.array(self._affinity), np.array(self._watched_before)
        exposure = np.bincount(self._world.videos.creator, weights=self._shown.astype(np.float64))[1:]
        return Figures(
            satisfaction=float(affinity.mean()),
            depth=float(self._depth[self._depth > 0].mean()),
            skips=self._skips / max(len(affinity), 1),
            discovery=float((self._shown[old_enough[good]] >= _ENOUGH).mean()) if good.any() else 0.0,
            new_reached=float((self._shown[old_enough] >= 10).mean()) if len(old_enough) else 0.0,
            fair_chance=float(self._had_a_chance(old_enough).mean()) if len(old_enough) else 0.0,
            diversity=float(np.mean(self._contrast)) if self._contrast else 0.0,
            creator_gini=_gini(exposure),
            first_ten=float(affinity[watched < 10].mean()),
            cold_start=tuple(
                _mean(affinity[(watched >= low) & (watched < high)]) for low, high in pairwise((*AFTER, len(affinity)))
            ),
        )

    def _had_a_chance(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        chance: NDArray[np.bool_] = (self._shown[rows] >= _CHANCE) | self._was_poor[rows]
        return chance


def _publish(world: World, policy: FeedPolicy, row: int, now_s: float) -> None:
    videos = world.videos
    policy.columns.put(
        NewVideo(
            video_id=row + 1,
            creator_id=int(videos.creator[row]),
            published_s=now_s,
            duration_s=float(videos.duration_s[row]),
            vector=videos.vectors[row],
        )
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _gini(values: NDArray[Any]) -> float:
    ordered = np.sort(values)
    if not ordered.sum():
        return 0.0
    rank = np.arange(1, len(ordered) + 1)
    return float((2 * (rank * ordered).sum() / ordered.sum() - len(ordered) - 1) / len(ordered))
