"""Arithmetic on streams of sound blocks ((2, n) float32). Pure; blocks need not be of the same length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from packager.sound.chain import RATE, Stereo


def scaled_by(blocks: Iterator[Stereo], volume: float) -> Iterator[Stereo]:
    for block in blocks:
        yield block * np.float32(volume)


def mixed(first: Iterator[Stereo], second: Iterator[Stereo]) -> Iterator[Stereo]:
    """Sum of two streams of the same length. Peaks above full scale are left to the limiter."""
    left, right = _Reader(first), _Reader(second)
    while count := min(left.ready(), right.ready()):
        yield left.take(count) + right.take(count)


def one_after_another(
    first: Iterator[Stereo] | None, first_samples: int, second: Iterator[Stereo] | None, second_samples: int
) -> Iterator[Stereo] | None:
    """The two in sequence, silence where one has no sound; None when neither has."""
    if first is None and second is None:
        return None
    return _chained(first or silence(first_samples), second or silence(second_samples))


def silence(samples: int) -> Iterator[Stereo]:
    while samples > 0:
        count = min(samples, RATE)
        yield np.zeros((2, count), np.float32)
        samples -= count


def _chained(first: Iterator[Stereo], second: Iterator[Stereo]) -> Iterator[Stereo]:
    yield from first
    yield from second


class _Reader:
    """Takes any number of samples from a stream of blocks."""

    def __init__(self, blocks: Iterator[Stereo]) -> None:
        self._blocks = blocks
        self._held = np.zeros((2, 0), np.float32)

    def ready(self) -> int:
        """Samples at hand; 0 only at the end."""
        while self._held.shape[1] == 0:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._held = block
        return int(self._held.shape[1])

    def take(self, count: int) -> Stereo:
        taken, self._held = self._held[:, :count], self._held[:, count:]
        return taken
