"""EASE (Steck, WWW 2019) in closed form, cut to each row's strongest neighbours for serving."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.feed.item_to_item import ItemToItem


def fit_ease(
    viewers: NDArray[np.int64], items: NDArray[np.int64], *, n_items: int, strength: float
) -> NDArray[np.float32]:
    """(n_items, n_items) weights from watched pairs of dense indices; the diagonal is 0.

    `strength` is the L2 penalty. Cost is that of one inverse: .9 s for 2,000 items, 28 s for 8,000: keep the most
    watched.
    """
    matrix = np.zeros((int(viewers.max()) + 1, n_items), np.float32)
    matrix[viewers, items] = 1.0
    gram = matrix.T @ matrix
    gram[np.diag_indices(n_items)] += strength
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)[None, :]
    weights[np.diag_indices(n_items)] = 0.0
    result: NDArray[np.float32] = weights.astype(np.float32)
    return result


def neighbours(weights: NDArray[np.float32], video_ids: NDArray[np.int64], *, keep: int = 100) -> ItemToItem:
    """The `keep` strongest weights of each row, by size. video_ids (n,) sorted, one per row."""
    keep = min(keep, weights.shape[1])
    top = np.argpartition(-np.abs(weights), keep - 1, axis=1)[:, :keep]
    return ItemToItem(
        video_ids=video_ids, neighbour_ids=video_ids[top], weights=np.take_along_axis(weights, top, axis=1)
    )
