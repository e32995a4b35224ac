"""Vectors of watched videos and tastes of viewers, in whatever space a viewer is served in.

A learned space places the few videos that are asked for: the vectors of a whole catalogue are where lists are made.
"""

from __future__ import annotations

import numpy as np

from edge.feed.arms import Arms
from inference.feed.columns import FeedColumns
from inference.feed.space_columns import liked_rows, placed
from inference.feed.taste import Taste, Vector, rebuilt


class TasteSpaces:
    """The spaces of the models that serve now. Runs on the event loop."""

    def __init__(self, catalogue: FeedColumns, arms: Arms) -> None:
        self._catalogue = catalogue
        self._arms = arms

    def vector(self, space: str, row: int) -> Vector | None:
        """(256,) float32 of a row in a space; None without one, or when the space is not served any more. 20 us in a
        learned space."""
        learned = self._arms.learned.get(space)
        if learned is None and space != self._catalogue.space:
            return None
        vectors, known = placed(self._catalogue, learned, np.array([row], np.int64))
        return vectors[0] if known[0] else None

    def taste_in(self, space: str, taste: Taste) -> Taste:
        """The taste itself, or, when it is of another space, rebuilt from the videos it last liked that are here."""
        if taste.space == space:
            return taste
        learned = self._arms.learned.get(space)
        if learned is None and space != self._catalogue.space:
            return Taste(space=space)
        rows, here = liked_rows(self._catalogue, taste)
        vectors, known = placed(self._catalogue, learned, rows)
        return rebuilt(taste, space=space, vectors=vectors, known=known & here)
