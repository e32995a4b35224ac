"""A viewer's taste: decayed sums of the vectors watched and skipped, about 3 KB, updated in microseconds.

Four sums of liked vectors (half-lives of 2, 8, 32, 128 events) tell a mood from a habit; two of disliked ones (4, 32)
feed the ranker and pull the query a little, never to its antipode. Sums are linear, so two PoPs' states merge by
adding (`merge`).
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from msgspec import field
from msgspec.structs import replace
from numpy.typing import NDArray

from inference.errors import NotFinite
from inference.feed.outcome import Outcome

Vector = NDArray[np.float32]
DIMENSIONS = 256
LIKE_HALF_LIVES = (2.0, 8.0, 32.0, 128.0)
DISLIKE_HALF_LIVES = (4.0, 32.0)
SUMS = len(LIKE_HALF_LIVES) + len(DISLIKE_HALF_LIVES)
RECENT = 50
_DECAY = np.array([2.0 ** (-1.0 / h) for h in (*LIKE_HALF_LIVES, *DISLIKE_HALF_LIVES)], np.float32)[:, None]
_DAYS = np.array([0.25, 1.0, 7.0, 60.0, 0.5, 7.0], np.float32)[:, None]
"""Half-life in days of each sum while nothing happens: a mood is over the next morning, a habit is not."""
_RATE = 0.05
"""Weight of one event in the running means of the viewer (about 20 events)."""
_FP16_LIMIT = 6e4


def _no_sums() -> NDArray[np.float32]:
    return np.zeros((SUMS, DIMENSIONS), np.float32)


class Taste(msgspec.Struct, frozen=True, kw_only=True):
    """State of one viewer in one vector space. Never changed in place."""

    space: str
    sums: NDArray[np.float32] = field(default_factory=_no_sums)
    """(6, 256): four of likes, two of dislikes."""
    events: int = 0
    likes: int = 0
    """Events with liking > 0."""
    mean_quantile: float = 0.5
    skip_share: float = 0.3
    recent_ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Up to 50 last liked videos, newest last."""
    recent_weights: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    creators: dict[int, float] = field(default_factory=dict)
    """Decayed liking minus disliking per creator, at most 64."""
    updated_s: float = 0.0

    def query(self, weights: NDArray[np.float32]) -> Vector | None:
        """(256,) unit vector to search with, or None as long as nothing was liked.

        weights (6,): share of each normalised sum. The part of the dislikes that points against the likes is limited
        so that the query keeps at least half of its agreement with them.
        """
        if self.likes == 0:
            return None
        unit = unit_rows(self.sums)
        likes = weights[: len(LIKE_HALF_LIVES)] @ unit[: len(LIKE_HALF_LIVES)]
        norm = float(np.linalg.norm(likes))
        if norm < 1e-9:
            return None
        likes /= norm
        away = weights[len(LIKE_HALF_LIVES) :] @ unit[len(LIKE_HALF_LIVES) :]
        agreement = float(away @ likes)
        if agreement < -0.5:
            away *= 0.5 / -agreement
        query = likes + away
        return (query / max(float(np.linalg.norm(query)), 1e-9)).astype(np.float32)


def updated(
    taste: Taste, *, vector: Vector | None, outcome: Outcome, video_id: int, creator_id: int, now_s: float
) -> Taste:
    """The taste after one event. vector (256,) in the taste's space, or None when the video has none yet.

    Raises NotFinite for a vector with NaN or infinity. 5-8 us.
    """
    sums = taste.sums * (_DECAY * _idle(taste, now_s))
    if vector is not None:
        if not math.isfinite(np.add.reduce(vector)):
            raise NotFinite(f"the vector of video {video_id} is not finite")
        if outcome.liking:
            sums[: len(LIKE_HALF_LIVES)] += outcome.liking * vector
        if outcome.dislike:
            sums[len(LIKE_HALF_LIVES) :] += outcome.dislike * vector
        np.minimum(sums, _FP16_LIMIT, out=sums)  # a third of the time of np.clip
        np.maximum(sums, -_FP16_LIMIT, out=sums)
    liked = outcome.liking > 0
    recent_ids, recent_weights = taste.recent_ids, taste.recent_weights
    if liked:
        keep = recent_ids != video_id
        recent_ids = np.concatenate([recent_ids[keep], np.array([video_id], np.int64)])[-RECENT:]
        recent_weights = np.concatenate([recent_weights[keep], np.array([outcome.liking], np.float32)])[-RECENT:]
    return Taste(
        space=taste.space,
        sums=sums,
        events=taste.events + 1,
        likes=taste.likes + liked,
        mean_quantile=taste.mean_quantile + _RATE * (outcome.quantile - taste.mean_quantile),
        skip_share=taste.skip_share + _RATE * (outcome.skipped - taste.skip_share),
        recent_ids=recent_ids,
        recent_weights=recent_weights,
        creators=_creators(taste.creators, creator_id, outcome.liking - outcome.dislike),
        updated_s=max(now_s, taste.updated_s),
    )


def _idle(taste: Taste, now_s: float) -> NDArray[np.float32] | float:
    idle_days = (now_s - taste.updated_s) / 86_400 if taste.updated_s else 0.0
    return np.exp2(-idle_days / _DAYS) if idle_days > 0.01 else 1.0


def _creators(known: dict[int, float], creator_id: int, change: float) -> dict[int, float]:
    after = {creator: value * 0.98 for creator, value in known.items()}
    after[creator_id] = after.get(creator_id, 0.0) + change
    if len(after) > 64:
        _, weakest = min(zip(map(abs, after.values()), after, strict=True))
        after.pop(weakest)
    return after


def rebuilt(taste: Taste, *, space: str, vectors: NDArray[np.float32], known: NDArray[np.bool_]) -> Taste:
    """The taste in another vector space, from the last liked videos; means, creators and counts stay.

    vectors (n, 256) of `taste.recent_ids` in the new space, known (n,) false where a video has none. About 20 us.
    What was liked longer than 50 likes ago, and what was disliked, is not known any more.
    """
    sums = _no_sums()
    age = np.arange(len(known))[::-1]
    weights = np.where(known, np.minimum(taste.recent_weights, 2.0), 0.0)
    for number, half_life in enumerate(LIKE_HALF_LIVES):
        sums[number] = (weights * np.exp2(-age / half_life)) @ vectors if len(known) else 0.0
    return replace(taste, space=space, sums=sums, likes=taste.likes if known.any() else 0)


def merge(older: Taste, newer: Taste) -> Taste:
    """One state from two that grew apart in two PoPs: the older is decayed by the events and the time of the newer one.

    Exact when all events of `older` precede those of `newer`, close otherwise. Spaces must be the same (ValueError).
    """
    if older.space != newer.space:
        raise ValueError(f"tastes of spaces {older.space} and {newer.space} do not add up")
    if older.updated_s > newer.updated_s:
        older, newer = newer, older
    sums = newer.sums + older.sums * _DECAY ** np.float32(newer.events) * _idle(older, newer.updated_s)
    only_older = ~np.isin(older.recent_ids, newer.recent_ids)
    creators = {**older.creators}
    for creator, value in newer.creators.items():
        creators[creator] = creators.get(creator, 0.0) + value
    share = newer.events / max(newer.events + older.events, 1)
    return replace(
        newer,
        sums=np.clip(sums, -_FP16_LIMIT, _FP16_LIMIT),
        events=newer.events + older.events,
        likes=newer.likes + older.likes,
        mean_quantile=share * newer.mean_quantile + (1 - share) * older.mean_quantile,
        skip_share=share * newer.skip_share + (1 - share) * older.skip_share,
        recent_ids=np.concatenate([older.recent_ids[only_older], newer.recent_ids])[-RECENT:],
        recent_weights=np.concatenate([older.recent_weights[only_older], newer.recent_weights])[-RECENT:],
        creators=dict(sorted(creators.items(), key=lambda pair: -abs(pair[1]))[:64]),
    )


def unit_rows(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row over its length; a zero row stays zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))[:, None]
    unit: NDArray[np.float32] = matrix / np.maximum(norms, 1e-9)
    return unit


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    """Layout in Valkey, version 1."""

    version: int
    space: str
    sums: bytes
    events: int
    likes: int
    mean_quantile: float
    skip_share: float
    recent_ids: bytes
    recent_weights: bytes
    creators: dict[int, float]
    updated_s: float


def encode(taste: Taste) -> bytes:
    """About 3.7 KB: sums as float16."""
    return msgspec.msgpack.encode(
        _Stored(
            1,
            taste.space,
            taste.sums.astype("<f2").tobytes(),
            taste.events,
            taste.likes,
            taste.mean_quantile,
            taste.skip_share,
            taste.recent_ids.astype("<i8").tobytes(),
            taste.recent_weights.astype("<f2").tobytes(),
            taste.creators,
            taste.updated_s,
        )
    )


def decode(raw: bytes) -> Taste | None:
    """The taste, or None if the bytes are of another version or damaged (the viewer starts anew)."""
    try:
        stored = msgspec.msgpack.decode(raw, type=_Stored)
        sums = np.frombuffer(stored.sums, "<f2").astype(np.float32).reshape(SUMS, DIMENSIONS)
    except (msgspec.DecodeError, ValueError):
        return None
    if stored.version != 1 or not np.isfinite(sums).all():
        return None
    return Taste(
        space=stored.space,
        sums=sums,
        events=stored.events,
        likes=stored.likes,
        mean_quantile=stored.mean_quantile,
        skip_share=stored.skip_share,
        recent_ids=np.frombuffer(stored.recent_ids, "<i8").astype(np.int64),
        recent_weights=np.frombuffer(stored.recent_weights, "<f2").astype(np.float32),
        creators=stored.creators,
        updated_s=stored.updated_s,
    )
