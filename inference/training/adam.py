"""Adam (Kingma & Ba 2015) with decoupled weight decay, over a list of arrays changed in place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


class Adam:
    """Owner of the moments of `parameters`; deterministic."""

    def __init__(self, parameters: Sequence[Matrix], *, decay: float = 0.0) -> None:
        self._parameters = parameters
        self._decay = decay
        self._first = [np.zeros_like(p) for p in parameters]
        self._second = [np.zeros_like(p) for p in parameters]
        self._count = 0

    def step(self, gradients: Sequence[Matrix], *, rate: float) -> None:
        """One step; `gradients` in the order of the parameters."""
        self._count += 1
        correct = np.sqrt(1 - 0.999**self._count) / (1 - 0.9**self._count)
        for parameter, gradient, first, second in zip(
            self._parameters, gradients, self._first, self._second, strict=True
        ):
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient * gradient - second)
            parameter *= np.float32(1 - rate * self._decay)
            parameter -= np.float32(rate * correct) * first / (np.sqrt(second) + np.float32(1e-8))
