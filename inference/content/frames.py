"""Frames of a video -> mean features and class logits, by EfficientNet-lite0 on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

_SIDE = 224
_BATCH = 8
"""Bounds memory at about 120 MB of activations."""


class FrameEncoder:
    """One ONNX session, one thread. Safe to call from several threads."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def encode(self, frames: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean over frames of features (1280,) and logits (1000,). frames (n, 224, 224, 3) RGB, n >= 1. About 11 ms
        each."""
        if frames.ndim != 4 or frames.shape[0] == 0 or frames.shape[1:] != (_SIDE, _SIDE, 3):
            raise ValueError(f"frames have shape {frames.shape}, not (n, 224, 224, 3) with n >= 1")
        features, logits = np.zeros(1280, np.float64), np.zeros(1000, np.float64)
        for start in range(0, len(frames), _BATCH):
            batch = frames[start : start + _BATCH].transpose(0, 3, 1, 2).astype(np.float32)
            part = self._session.run(["features", "logits"], {"frames": (batch - 127.0) / 128.0})
            features += part[0].sum(axis=0)
            logits += part[1].sum(axis=0)
        return (features / len(frames)).astype(np.float32), (logits / len(frames)).astype(np.float32)


def golden_frames() -> NDArray[np.uint8]:
    """One made picture (a disc on a gradient) whose logits are known: a wrong conversion answers something else."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float64)
    disc = (x - 112) ** 2 + (y - 112) ** 2 < 60**2
    red = np.where(disc, 220, x / _SIDE * 255)
    green = np.where(disc, 120, y / _SIDE * 255)
    blue = np.where(disc, 30, 180)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)[None]
