"""What gain brings a clip to the target loudness (EBU R 128 / ITU-R BS.1770). Pure."""

from __future__ import annotations

from dataclasses import dataclass

TARGET_LUFS = -14.0
CEILING_DBTP = -1.0
MAX_GAIN_DB = 24.0
"""Quiet clips are raised no further: beyond this, noise is what becomes loud."""
SILENCE_LUFS = -60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    integrated_lufs: float


def gain_db(measured: Loudness) -> float:
    """Decibels to add. Silence is left alone; peaks above CEILING_DBTP are the limiter's business."""
    if measured.integrated_lufs <= SILENCE_LUFS:
        return 0.0
    return min(MAX_GAIN_DB, TARGET_LUFS - measured.integrated_lufs)
