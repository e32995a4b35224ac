"""Clips with known tones, and what can be heard and seen in what was made of them (decoded by FFmpeg)."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tests.integration.packager.making import AAC, H264, run


def tone_clip(
    path: Path, *, hertz: int, colour: str = "0x2040a0", size: str = "240x426", seconds: float = 2.0
) -> bytes:
    """A plain picture of one colour with a sine tone."""
    run(
        *("-v", "error", "-y", "-f", "lavfi", "-i", f"color={colour}:size={size}:rate=25:duration={seconds}"),
        *("-f", "lavfi", "-i", f"sine=frequency={hertz}:sample_rate=48000:duration={seconds}"),
        *(*H264, *AAC, str(path)),
    )
    return path.read_bytes()


def tone_file(path: Path, *hertz: int, seconds: float = 2.0) -> bytes:
    """A sound file: the tones one after the other, `seconds` each."""
    inputs = [f"sine=frequency={one}:sample_rate=44100:duration={seconds}" for one in hertz]
    arguments = [part for one in inputs for part in ("-f", "lavfi", "-i", one)]
    run("-v", "error", "-y", *arguments, "-filter_complex", f"concat=n={len(hertz)}:v=0:a=1", str(path))
    return path.read_bytes()


def tones(media: bytes, *candidates: int, from_s: float = 0.3, to_s: float = 1.6) -> set[int]:
    """Which of the candidate frequencies are heard: within 26 dB of the strongest thing there is."""
    spectrum, resolution = _spectrum(media, from_s, to_s)
    loudest = float(spectrum.max())
    width = max(1, round(4 / resolution))

    def level(hertz: int) -> float:
        centre = round(hertz / resolution)
        return float(spectrum[centre - width : centre + width + 1].max())

    return {hertz for hertz in candidates if loudest > 1e-3 and level(hertz) > loudest / 20}


def _spectrum(media: bytes, from_s: float, to_s: float) -> tuple[NDArray[np.float64], float]:
    """Magnitudes of a stretch, and hertz a bin."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=48_000)
    with av.open(io.BytesIO(media)) as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    pcm = np.concatenate([frame.to_ndarray()[0] for frame in frames])[round(from_s * 48_000) : round(to_s * 48_000)]
    window = np.hanning(pcm.size)
    return np.abs(np.fft.rfft(pcm * window)) * 2 / window.sum(), 48_000 / pcm.size


def picture_at(media: bytes, second: float) -> NDArray[np.uint8]:
    """(height, width, 3) RGB of the picture shown then."""
    with av.open(io.BytesIO(media)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= second:
                return frame.to_ndarray(format="rgb24")
    raise AssertionError(f"no picture at {second} s")
