"""Training rows: one impression each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.feed.features import WIDTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Impressions:
    """x (n, WIDTH); quantile (n,) 0..1; heads (n, 4) 0/1 in ranker.HEADS' order; group (n,) viewer, for metrics."""

    x: NDArray[np.float32]
    quantile: NDArray[np.float32]
    heads: NDArray[np.float32]
    group: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.quantile)

    def part(self, mask: NDArray[np.bool_]) -> Impressions:
        return Impressions(x=self.x[mask], quantile=self.quantile[mask], heads=self.heads[mask], group=self.group[mask])


class ImpressionLog:
    """Collects rows one by one."""

    def __init__(self) -> None:
        self._x: list[NDArray[np.float32]] = []
        self._rest: list[tuple[float, float, float, float, float, int]] = []

    def add(
        self,
        x: NDArray[np.float32],
        *,
        quantile: float,
        liked: bool,
        shared: bool,
        finished: bool,
        skipped: bool,
        group: int,
    ) -> None:
        self._x.append(x)
        self._rest.append((quantile, float(liked), float(shared), float(finished), float(skipped), group))

    def impressions(self) -> Impressions:
        rest = np.array(self._rest, np.float64).reshape(-1, 6)
        return Impressions(
            x=np.array(self._x, np.float32).reshape(-1, WIDTH),
            quantile=rest[:, 0].astype(np.float32),
            heads=rest[:, 1:5].astype(np.float32),
            group=rest[:, 5].astype(np.int64),
        )


def joined(parts: list[Impressions]) -> Impressions:
    return Impressions(
        x=np.concatenate([part.x for part in parts]),
        quantile=np.concatenate([part.quantile for part in parts]),
        heads=np.concatenate([part.heads for part in parts]),
        group=np.concatenate([part.group + (number << 32) for number, part in enumerate(parts)]),
    )
