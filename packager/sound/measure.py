"""First pass over the sound: loudness, the analysis signal, and what the fingerprint is made of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from packager.sound.chain import Stereo, as_frame, pulled_frames, sound_graph
from packager.sound.loudness import Loudness

ANALYSIS_RATE = 16_000
ANALYSIS_S = 60
FINGERPRINT_RATE = 11_025
"""Chromaprint's own rate: it would resample to this anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    loudness: Loudness
    analysis: NDArray[np.float32]
    """Mono at 16 kHz, at most 60 s."""
    fingerprint_pcm: NDArray[np.int16]
    """Mono at 11025 Hz, all of it."""


def measure(blocks: Iterable[Stereo]) -> Measured:
    """Measure 48 kHz stereo blocks. Loudness is that of the whole (gated, EBU R 128)."""
    graph = sound_graph([("ebur128", "metadata=1")])
    low, print_rate = _mono(ANALYSIS_RATE), _mono(FINGERPRINT_RATE)
    analysis: list[NDArray[np.float32]] = []
    pcm: list[NDArray[np.int16]] = []
    last: dict[str, str] = {}
    at_sample, kept = 0, 0
    for block in blocks:
        frame = as_frame(block, at_sample)
        if kept < ANALYSIS_S * ANALYSIS_RATE:
            analysis += (piece := _samples(low.resample(frame)))
            kept += sum(part.size for part in piece)
        pcm += [_int16(part) for part in _samples(print_rate.resample(as_frame(block, at_sample)))]
        at_sample += block.shape[1]
        graph.push(as_frame(block, at_sample - block.shape[1]))
        for measured in pulled_frames(graph):
            last = dict(measured.metadata)
    graph.push(None)
    for measured in pulled_frames(graph):
        last = dict(measured.metadata) or last
    return Measured(
        loudness=_loudness(last),
        analysis=_joined(analysis, np.float32)[: ANALYSIS_S * ANALYSIS_RATE],
        fingerprint_pcm=_joined(pcm, np.int16),
    )


def _mono(rate: int) -> av.AudioResampler:
    return av.AudioResampler(format="flt", layout="mono", rate=rate)


def _samples(frames: list[av.AudioFrame]) -> list[NDArray[np.float32]]:
    return [frame.to_ndarray()[0] for frame in frames]


def _int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    return (np.clip(samples, -1, 1) * 32767).astype(np.int16)


def _joined(parts: list[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def _loudness(metadata: dict[str, str]) -> Loudness:
    integrated = float(metadata.get("lavfi.r128.I", "-70"))
    return Loudness(integrated_lufs=integrated if math.isfinite(integrated) else -70.0)
