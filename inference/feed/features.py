"""The ranker's inputs: (n, F) float32, finite, the same code in training and serving.

Only cosines, counts and context: nothing depends on the axes of the vector space, so a ranker stays valid for a new
space of the same kind, and one trained on simulated viewers can start a new installation.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from inference.feed.columns import FeedColumns
from inference.feed.layout import Records
from inference.feed.pools import Pools, look_up
from inference.feed.sources import Candidates, Source, about, lookup
from inference.feed.taste import DISLIKE_HALF_LIVES, LIKE_HALF_LIVES
from inference.feed.viewer import ViewerState, contains

NAMES: tuple[str, ...] = (
    *(f"like_cosine_{h:g}" for h in LIKE_HALF_LIVES),
    *(f"dislike_cosine_{h:g}" for h in DISLIKE_HALF_LIVES),
    "query_cosine",
    "recent_best_cosine",
    "recent_top3_cosine",
    "item_to_item",
    "popularity",
    "popularity_when_new",
    "trend",
    "quantile_posterior",
    "seen_log",
    "like_rate",
    "share_rate",
    "finish_rate",
    "skip_rate",
    "age_log_h",
    "views_log",
    "duration_log",
    "duration_log_square",
    "creator_affinity",
    "followed",
    "same_region",
    "interest_match",
    "has_vector",
    "viewer_likes_log",
    "viewer_quantile",
    "viewer_skip_share",
    "hour_sin",
    "hour_cos",
    *(f"source_{source.name.lower()}" for source in Source),
)
WIDTH = len(NAMES)
SCHEMA = hashlib.sha256(",".join(NAMES).encode()).hexdigest()[:16]
"""Names and order of the features: a ranker of another schema is refused."""

_PRIOR = 8.0
"""Pseudo-impressions behind every rate."""
_RECENT = 20


def features(
    columns: FeedColumns,
    pools: Pools,
    state: ViewerState,
    candidates: Candidates,
    query: NDArray[np.float32] | None,
    *,
    now_s: float,
    vectors: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """(n, WIDTH) for the candidates, in NAMES' order. `vectors` (n, 256): theirs, if the caller has them already."""
    rows, records = candidates.rows, candidates.records
    if vectors is None:
        vectors = columns.vectors(rows)
    parts: list[Column] = [
        *_cosines(columns, state, vectors, query),
        np.tanh(candidates.item_to_item),
        *_item(records, pools, state, rows, now_s),
        *_match(records, state),
        *_viewer(state),
    ]
    by_feature = np.zeros((WIDTH, len(rows)), np.float32)  # whole rows are written faster than columns
    for number, part in enumerate(parts):
        by_feature[number] = part
    by_feature[len(parts) + candidates.source.astype(np.intp), np.arange(len(rows))] = 1.0
    matrix = np.ascontiguousarray(by_feature.T)
    if not np.isfinite(matrix.sum()):
        np.nan_to_num(matrix, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return matrix


Column = NDArray[np.float32] | NDArray[np.bool_] | float


def _cosines(
    columns: FeedColumns, state: ViewerState, vectors: NDArray[np.float32], query: NDArray[np.float32] | None
) -> list[Column]:
    """Against every decayed sum, the query and the last liked videos: one product for all of them."""
    sums = state.taste.sums
    norms = np.sqrt(np.einsum("ij,ij->i", sums, sums))
    recent = columns.rows(state.taste.recent_ids[-_RECENT:])
    against = [sums / np.maximum(norms, 1e-9)[:, None]]
    against.append((query if query is not None else np.zeros(vectors.shape[1], np.float32))[None])
    against.append(columns.vectors(recent))
    cosines = vectors @ np.concatenate(against).T
    known = len(sums) + 1
    best: Column = 0.0
    top3: Column = 0.0
    if len(recent) and len(vectors):
        nearest = np.sort(cosines[:, known:], axis=1)
        best, top3 = nearest[:, -1], nearest[:, -3:].mean(axis=1)
    return [*cosines[:, :known].T, best, top3]


def _item(records: Records, pools: Pools, state: ViewerState, rows: NDArray[np.int64], now_s: float) -> list[Column]:
    """Posterior rates at this PoP, shrunk to what an average video has."""
    seen = records["seen_count"]
    weight = seen + _PRIOR
    duration = np.log(np.maximum(records["duration_s"], 1.0))
    popularity = look_up(pools.popularity, rows)
    return [
        popularity,
        popularity / (1.0 + state.taste.likes),
        look_up(pools.trend, rows),
        (records["quantile_sum"] + 0.5 * _PRIOR) / weight,
        np.log1p(seen),
        (records["liked_count"] + 0.05 * _PRIOR) / weight,
        (records["shared_count"] + 0.01 * _PRIOR) / weight,
        (records["finished_count"] + 0.3 * _PRIOR) / weight,
        (records["skipped_count"] + 0.3 * _PRIOR) / weight,
        np.log1p(np.maximum(now_s - records["published_s"], 0.0) / 3600.0).astype(np.float32),
        np.log1p(records["views"]),
        duration,
        duration * duration,
    ]


def _match(records: Records, state: ViewerState) -> list[Column]:
    creators = records["creator_id"]
    liked = dict(sorted(state.taste.creators.items()))
    known, affinities = np.array([*liked], np.int64), np.array([*liked.values()], np.float32)
    return [
        np.tanh(lookup(known, affinities, creators)),
        contains(state.following, creators),
        (records["region"] == state.region) & (state.region != 0),
        about(records, state.interests) if state.interests else 0.0,
        records["has_vector"],
    ]


def _viewer(state: ViewerState) -> list[Column]:
    angle = 2 * math.pi * state.hour / 24
    taste = state.taste
    return [math.log1p(taste.likes), taste.mean_quantile, taste.skip_share, math.sin(angle), math.cos(angle)]
