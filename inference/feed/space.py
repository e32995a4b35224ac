"""A learned vector space: videos from content and co-watching, viewers from their decayed sums.

A release that carries one brings all three parts, trained together and only valid together: vectors of the videos it
knew (content + what co-watching taught), a content tower that places every video it did not know, and a query tower
that turns a taste into a search vector. Everything is two small matrix products in numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from inference.errors import ModelDamaged
from inference.feed.taste import DIMENSIONS, SUMS, Taste, Vector, unit_rows

Matrix = NDArray[np.float32]
COUNTS = 2
"""Inputs of the query tower beside the sums: log of the likes, share of skips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """One hidden layer: `relu(x @ first + first_bias) @ second + second_bias`."""

    first: Matrix
    first_bias: Matrix
    second: Matrix
    second_bias: Matrix

    def __call__(self, x: Matrix) -> Matrix:
        """x (..., in) -> (..., 256)."""
        out: Matrix = np.maximum(x @ self.first + self.first_bias, 0) @ self.second + self.second_bias
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedSpace:
    """`name` is unique to the training run: vectors and tastes of different names are never mixed."""

    name: str
    content: str
    """Space of the content vectors that `tower` maps."""
    video_ids: NDArray[np.int64]
    """(n,) sorted: videos with a vector of their own."""
    vectors: NDArray[np.float16]
    """(n, 256) unit rows."""
    tower: Layers
    """(256,) content vector -> (256,)."""
    query: Layers
    """(SUMS * 256 + COUNTS,) unit sums and counts -> (256,), added to the mixed sums."""
    mix: Matrix
    """(SUMS,) share of each unit sum in the search vector."""

    def place(
        self, video_ids: NDArray[np.int64], content: Matrix, has_content: NDArray[np.bool_]
    ) -> tuple[Matrix, NDArray[np.bool_]]:
        """Unit vectors (n, 256) of videos and which have one; content (n, 256) counts only where it is there.

        10 us for one video, about 15 us each for thousands.
        """
        placed = unit_rows(self.tower(content))
        known = has_content.copy()
        if len(self.video_ids):
            at = np.minimum(np.searchsorted(self.video_ids, video_ids), len(self.video_ids) - 1)
            own = self.video_ids[at] == video_ids
            placed[own] = self.vectors[at[own]].astype(np.float32)
            known |= own
        placed[~known] = 0.0
        return placed, known

    def search_vector(self, taste: Taste) -> Vector | None:
        """(256,) unit vector to search with, or None as long as nothing was liked. About 0.1 ms."""
        if taste.likes == 0:
            return None
        unit = unit_rows(taste.sums)
        counts = np.array([np.log1p(taste.likes), taste.skip_share], np.float32)
        out = self.mix @ unit + self.query(np.concatenate([unit.ravel(), counts]))
        norm = float(np.linalg.norm(out))
        return (out / norm).astype(np.float32) if norm > 1e-9 else None


_LAYERS = ("first", "first_bias", "second", "second_bias")


def pack(space: LearnedSpace) -> bytes:
    """space.npz of a release."""
    file = BytesIO()
    arrays: dict[str, NDArray[np.generic]] = {
        "name": np.array(space.name),
        "content": np.array(space.content),
        "video_ids": space.video_ids,
        "vectors": space.vectors,
        "mix": space.mix,
    }
    for part, layers in (("tower", space.tower), ("query", space.query)):
        arrays |= {f"{part}_{name}": getattr(layers, name) for name in _LAYERS}
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def unpack(raw: bytes) -> LearnedSpace:
    """Raises ModelDamaged when a part is missing, of another shape, or not finite."""
    try:
        with np.load(BytesIO(raw), allow_pickle=False) as arrays:
            space = LearnedSpace(
                name=str(arrays["name"]),
                content=str(arrays["content"]),
                video_ids=arrays["video_ids"],
                vectors=arrays["vectors"],
                mix=arrays["mix"],
                tower=Layers(**{name: arrays[f"tower_{name}"] for name in _LAYERS}),
                query=Layers(**{name: arrays[f"query_{name}"] for name in _LAYERS}),
            )
    except (KeyError, ValueError, OSError) as err:
        raise ModelDamaged(f"the learned space does not load: {err}") from err
    _check(space)
    return space


def _check(space: LearnedSpace) -> None:
    shapes = (
        (space.vectors.shape, (len(space.video_ids), DIMENSIONS)),
        (space.mix.shape, (SUMS,)),
        (space.tower.first.shape[:1], (DIMENSIONS,)),
        (space.tower.second.shape[1:], (DIMENSIONS,)),
        (space.query.first.shape[:1], (SUMS * DIMENSIONS + COUNTS,)),
        (space.query.second.shape[1:], (DIMENSIONS,)),
    )
    if any(found != wanted for found, wanted in shapes):
        raise ModelDamaged(f"the learned space {space.name} has parts of another shape")
    parts = (space.vectors, space.mix, *(getattr(layers, n) for layers in (space.tower, space.query) for n in _LAYERS))
    if not all(np.isfinite(part).all() for part in parts):
        raise ModelDamaged(f"the learned space {space.name} is not finite")
