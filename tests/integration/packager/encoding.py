"""`python -m tests.integration.packager.encoding WIDTH HEIGHT`: the hash of made pictures encoded as a rung."""

from __future__ import annotations

import hashlib
import sys
from fractions import Fraction

import av
import numpy as np

from packager.encoder.assembly import assembly, processor_features
from packager.encoder.rung_encoder import h264_encoder
from packager.encoder.shape import BT601
from packager.ladder import rungs_of

_PICTURES = 24


def encoded(width: int, height: int) -> str:
    """SHA-256 of the packets of the largest rung. One thread, so that nothing hangs on timing."""
    rung = rungs_of(width, height, Fraction(30), _PICTURES)[-1]
    encoder = h264_encoder(rung, BT601, threads=1, assembly=assembly(processor_features()))
    digest = hashlib.sha256()
    for index in range(_PICTURES):
        for packet in encoder.encode(_picture(index, rung.width, rung.height)):
            digest.update(bytes(packet))
    for packet in encoder.encode(None):
        digest.update(bytes(packet))
    return digest.hexdigest()


def _picture(index: int, width: int, height: int) -> av.VideoFrame:
    """A pattern that drifts down and to the right, by less than a pixel at a time at its edges."""
    down, across = np.mgrid[: height * 3 // 2, :width].astype(np.float32)
    wave = np.sin((across - 1.7 * index) / 9) + np.sin((down - 1.3 * index) / 11) + np.sin((across + down) / 5)
    picture = av.VideoFrame.from_ndarray((128 + 35 * wave).astype(np.uint8), format="yuv420p")
    picture.pts, picture.time_base = index, Fraction(1, 30)
    return picture


if __name__ == "__main__":
    print(encoded(int(sys.argv[1]), int(sys.argv[2])))
