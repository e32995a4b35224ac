"""The space `content-1`: four parts, each projected by a fixed seeded matrix, weighted, concatenated, L2-normalised.

    part      input                                    dimensions   share of the squared norm
    visual    1000 centred class logits (frame mean)   136          .55
    text      512, universal sentence encoder          80           .33
    audio     48 band statistics                       24           .06
    creator   a random direction per creator id        16           .06

Random projections keep angles up to about sqrt(1 / dimensions) (Johnson-Lindenstrauss); the shares make a cosine of two
videos the weighted mean of the parts' cosines. A missing part is zero, and the rest is normalised again. Logits
instead of the raw features: those are all positive, so unrelated pictures have a cosine of about .6 there and about 0
here.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import xxhash
from numpy.typing import NDArray

from inference.errors import NotFinite

Vector = NDArray[np.float32]
SPACE = "content-1"
DIMENSIONS = 256
_SEED = 20_250_101


class Part(StrEnum):
    VISUAL = "visual"
    TEXT = "text"
    AUDIO = "audio"
    CREATOR = "creator"


_LAYOUT: dict[Part, tuple[int, int, float]] = {
    Part.VISUAL: (1000, 136, 0.55),
    Part.TEXT: (512, 80, 0.33),
    Part.AUDIO: (48, 24, 0.06),
    Part.CREATOR: (16, 16, 0.06),
}
"""Input width, output width, share."""


class Projection:
    """The matrices of the space, made once from the seed: about 0.7 MB."""

    def __init__(self) -> None:
        self._matrices = {part: _orthonormal(number, wide, narrow) for number, part, wide, narrow in _plan()}

    def join(self, parts: dict[Part, Vector]) -> Vector:
        """One (256,) float32 unit vector from the parts given. Raises NotFinite; ValueError without any part."""
        joined = np.zeros(DIMENSIONS, np.float32)
        start = 0
        for part, (wide, narrow, share) in _LAYOUT.items():
            if part in parts:
                if parts[part].shape != (wide,):
                    raise ValueError(f"part {part} has shape {parts[part].shape}, not ({wide},)")
                joined[start : start + narrow] = np.sqrt(share) * _unit(_unit(parts[part]) @ self._matrices[part])
            start += narrow
        norm = float(np.linalg.norm(joined))
        if not np.isfinite(norm):
            raise NotFinite("a part of the video's vector is not finite")
        if norm < 1e-6:
            raise ValueError("a vector needs at least one part that is not zero")
        return (joined / norm).astype(np.float32)


def creator_direction(creator_id: str) -> Vector:
    """(16,) unit vector, the same for one creator everywhere."""
    rng = np.random.default_rng(xxhash.xxh3_64_intdigest(creator_id.encode(), seed=_SEED))
    return _unit(rng.standard_normal(16).astype(np.float32))


def _plan() -> list[tuple[int, Part, int, int]]:
    return [(number, part, wide, narrow) for number, (part, (wide, narrow, _)) in enumerate(_LAYOUT.items())]


def _orthonormal(number: int, wide: int, narrow: int) -> NDArray[np.float32]:
    """(wide, narrow) with orthonormal columns."""
    gaussian = np.random.default_rng([_SEED, number]).standard_normal((wide, narrow))
    q, r = np.linalg.qr(gaussian)
    return (q * np.sign(np.diag(r))).astype(np.float32)  # the sign rule makes QR unique across LAPACK builds


def _unit(vector: Vector) -> Vector:
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm > 1e-9 else np.zeros_like(vector)
