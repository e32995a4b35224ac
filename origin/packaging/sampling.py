"""The pictures and the sound a video's vector is made of, out of a rendition of ours (a file we wrote: not hostile)."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from foundation.wire.media import MediaManifest
from packager.encoder.gallery import ANALYSIS_EDGE, ANALYSIS_FRAMES, evenly, rgb_of

_AUDIO_HZ = 16_000


def sample(data: bytes, manifest: MediaManifest) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    """(n, 224, 224, 3) uint8 RGB at the places the packager takes, and mono float32 at 16 kHz (None without sound).

    Blocking, about 0.3 s for 15 s of 360p. Raises av.FFmpegError for a file that is damaged.
    """
    total = max(1, round(Fraction(manifest.duration_ms, 1000) * Fraction(manifest.frame_rate)))
    wanted, scaler = set(evenly(total, ANALYSIS_FRAMES)), VideoReformatter()
    with av.open(io.BytesIO(data), mode="r") as container:
        pictures = [
            rgb_of(frame, scaler, ANALYSIS_EDGE, ANALYSIS_EDGE)
            for index, frame in enumerate(container.decode(video=0))
            if index in wanted
        ]
    frames = np.stack(pictures) if pictures else np.zeros((0, ANALYSIS_EDGE, ANALYSIS_EDGE, 3), np.uint8)
    return frames, _audio(data) if manifest.has_audio else None


def _audio(data: bytes) -> NDArray[np.float32] | None:
    resampler = AudioResampler(format="flt", layout="mono", rate=_AUDIO_HZ)
    with av.open(io.BytesIO(data), mode="r") as container:
        if not container.streams.audio:
            return None
        decoded = [*container.decode(audio=0), None]  # None: what the resampler still holds
        pieces = [piece.to_ndarray()[0] for frame in decoded for piece in resampler.resample(frame)]
    return np.concatenate(pieces).astype(np.float32, copy=False) if pieces else None
