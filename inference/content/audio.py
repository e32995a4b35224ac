"""What the sound is like: statistics of 24 logarithmic bands, loudness removed."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
_WINDOW = 512
_HOP = 512
_BANDS = 24
_MAX_SAMPLES = 60 * RATE_HZ
"""A minute says what a clip sounds like; bounds the work at about 15 ms."""
_SILENCE = 1e-4


def band_statistics(audio_16k: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """(48,) float32: mean and deviation over time of each band's log energy. None for silence or under 64 ms.

    audio_16k (n,) mono in -1..1.
    """
    if audio_16k is None or audio_16k.size < 2 * _WINDOW:
        return None
    samples = np.nan_to_num(audio_16k[:_MAX_SAMPLES]).astype(np.float32)
    if float(np.sqrt(np.mean(samples * samples))) < _SILENCE:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW), axis=1)) ** 2
    edges = np.unique(np.geomspace(2, power.shape[1], _BANDS + 8).astype(int))[: _BANDS + 1]
    energy = np.stack([power[:, a:b].sum(axis=1) for a, b in itertools.pairwise(edges)], axis=1)
    log_energy = np.log(energy + 1e-6)
    mean = log_energy.mean(axis=0)
    spread = log_energy.std(axis=0)
    return np.concatenate([mean - mean.mean(), spread - 1.5]).astype(np.float32)
