"""A learned space out of an event log, and whether it earns its place.

What a viewer liked next, ranked among everything the catalogue had by the search vector alone: the learned space must
do it better than the content space on watches that neither was fitted on, by viewers' means, beyond chance.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from foundation.wire.events import WatchEvent
from inference.feed.catalogue_row import decode_vector
from inference.feed.model import FeedModel
from inference.feed.space import LearnedSpace, pack
from inference.feed.watch_quantile import WatchQuantiles
from inference.training.event_log import EventLog, LogReplay, judged
from inference.training.factors import FactorPlan, fit_item_factors, unit_vectors
from inference.training.paired import Paired, paired_over_groups
from inference.training.two_tower import Histories, TowerPlan, train_space

MOST_VIDEOS = 20_000
"""The most watched get a vector of their own; content places the others."""
LEAST_VIDEOS = 50
LEAST_LIKES = 500
_EPOCHS = (2, 5)
_LIKES_FOR_ALL_FACTORS = 20_000
"""Fewer do not fill 256 factors, and 64 are solved ten times as fast."""
_LIKES_AS_CONTENT = 20.0
"""So many likes say as much of a video as its content."""


class SpaceReport(msgspec.Struct, frozen=True, kw_only=True):
    """NDCG@10 of the next liked video, mean over viewers: learned, content, and their difference with 95 %."""

    learned: float
    content: float
    difference: float
    low: float
    high: float
    viewers: int

    @property
    def earns_its_place(self) -> bool:
        return self.low > 0


def fit_space(
    log: EventLog, end: float, quantiles: WatchQuantiles, *, content: str, plan: TowerPlan
) -> LearnedSpace | None:
    """A space from the first part of the log; None when too little was liked to learn from. Deterministic by seed;
    its name is a digest of what is in it."""
    ids = _most_watched(log, end)
    histories = _histories(log, end, quantiles, ids)
    liked = histories.liking >= plan.liked_from
    if len(ids) < LEAST_VIDEOS or liked.sum() < LEAST_LIKES:
        return None
    known = [decode_vector(log.items[int(video_id)], content) for video_id in ids]
    has_content = np.array([vector is not None for vector in known])
    vectors = np.stack([vector if vector is not None else np.zeros(256, np.float32) for vector in known])
    space = train_space(
        histories,
        content=vectors,
        has_content=has_content,
        start=_start(histories, liked, vectors, has_content, plan),
        video_ids=ids,
        plan=plan,
        name="",
        content_space=content,
    )
    return replace(space, name=f"learned-{hashlib.sha256(pack(space)).hexdigest()[:12]}")


def _start(
    histories: Histories,
    liked: NDArray[np.bool_],
    content: NDArray[np.float32],
    has_content: NDArray[np.bool_],
    plan: TowerPlan,
) -> NDArray[np.float32]:
    """(n, 256): iALS turned onto the content vectors (orthogonal Procrustes), counting more the more a video was liked,
    so that a rarely liked one begins as its content and an often liked one as its company."""
    items = histories.item[liked]
    start = np.zeros_like(content)
    width = 256 if len(items) >= _LIKES_FOR_ALL_FACTORS else 64
    factor_plan = FactorPlan(seed=plan.seed, dimensions=width)
    factors = unit_vectors(fit_item_factors(histories.viewer[liked], items, plan=factor_plan))
    start[: len(factors)] = factors
    if not has_content.any():
        return start
    left, _, right = np.linalg.svd(start[has_content].T @ content[has_content])
    likes = np.bincount(items, minlength=len(content))[:, None]
    share = np.where(has_content[:, None], likes / (likes + _LIKES_AS_CONTENT), 1.0)
    turned: NDArray[np.float32] = (share * (start @ (left @ right))).astype(np.float32)
    return turned


def choose_plan(log: EventLog, model: FeedModel, *, content: str, seed: int) -> TowerPlan:
    """How long to train, from the first half alone: fitted on 42 %, compared on 42-50 %. A log whose content says a lot
    is learned by heart within few epochs."""
    best, chosen = -1.0, TowerPlan(seed=seed)
    for epochs in _EPOCHS:
        plan = TowerPlan(seed=seed, epochs=epochs)
        learned = fit_space(log, 0.42, model.quantiles, content=content, plan=plan)
        if learned is None:
            return chosen
        _, ndcg = _ranked(log, replace(model, space=learned), content=content, start=0.42, end=0.5, limit=1500)
        if len(ndcg) and ndcg.mean() > best:
            best, chosen = float(ndcg.mean()), plan
    return chosen


def judge_space(log: EventLog, model: FeedModel, *, content: str, start: float, limit: int = 4000) -> SpaceReport:
    """`model` with a space fitted on the log before `start`, against the same model without, on what came after."""
    learned = _ranked(log, model, content=content, start=start, end=1.0, limit=limit)
    plain = _ranked(log, replace(model, space=None), content=content, start=start, end=1.0, limit=limit)
    paired: Paired = paired_over_groups(learned[1] - plain[1], learned[0])
    return SpaceReport(
        learned=float(learned[1].mean()) if len(learned[1]) else 0.0,
        content=float(plain[1].mean()) if len(plain[1]) else 0.0,
        difference=paired.mean,
        low=paired.low,
        high=paired.high,
        viewers=paired.groups,
    )


def _ranked(
    log: EventLog, model: FeedModel, *, content: str, start: float, end: float, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    replay = LogReplay(log, model=model, space=content)
    replay.play(log.share(0, start), None)
    return replay.next_likes(log.share(start, end), limit=limit)


def _most_watched(log: EventLog, end: float) -> NDArray[np.int64]:
    ids, counts = np.unique([_video(event) for event in log.share(0, end)], return_counts=True)
    return np.sort(ids[np.argsort(-counts, kind="stable")][:MOST_VIDEOS]).astype(np.int64)


def _histories(log: EventLog, end: float, quantiles: WatchQuantiles, ids: NDArray[np.int64]) -> Histories:
    """Watches of the chosen videos, judged as a PoP does; dense indices."""
    place = {int(video_id): at for at, video_id in enumerate(ids)}
    events = [event for event in log.share(0, end) if _video(event) in place]
    viewers: dict[str, int] = {}
    outcomes = [judged(event, log.items[_video(event)].manifest.duration_ms / 1000, quantiles) for event in events]
    return Histories(
        viewer=np.array([viewers.setdefault(event.viewer, len(viewers)) for event in events], np.int64),
        item=np.array([place[_video(event)] for event in events], np.int64),
        at_s=np.array([event.received_at_ms / 1000 for event in events]),
        liking=np.array([outcome.liking for outcome in outcomes], np.float32),
        dislike=np.array([outcome.dislike for outcome in outcomes], np.float32),
    )


def _video(event: WatchEvent) -> int:
    return int(event.report.video_id)
