"""ThumbHash: a picture in about 25 bytes, shown until the real one arrives. After Evan Wallace's format description
(https://evanw.github.io/thumbhash/); opaque pictures only, which is all that video has. Pure.
"""

from __future__ import annotations

import base64
import math

import numpy as np
from numpy.typing import NDArray

Channel = NDArray[np.float64]
MAX_EDGE = 100
"""The format is defined for pictures of at most 100 x 100."""


def thumbhash(picture: NDArray[np.uint8]) -> str:
    """Base64 ThumbHash of (height, width, 3) uint8 RGB, edges 1..100. Raises ValueError for larger pictures."""
    height, width, _ = picture.shape
    if max(height, width) > MAX_EDGE:
        raise ValueError(f"{width}x{height} is larger than {MAX_EDGE}x{MAX_EDGE}")
    rgb = picture.astype(np.float64) / 255
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    longest = max(width, height)
    across = max(1, _round(7 * width / longest))
    down = max(1, _round(7 * height / longest))
    l_dc, l_ac, l_scale = _encode((red + green + blue) / 3, max(3, across), max(3, down))
    p_dc, p_ac, p_scale = _encode((red + green) / 2 - blue, 3, 3)
    q_dc, q_ac, q_scale = _encode(red - green, 3, 3)
    landscape = width > height
    head = (
        _round(63 * l_dc)
        | _round(31.5 + 31.5 * p_dc) << 6
        | _round(31.5 + 31.5 * q_dc) << 12
        | _round(31 * l_scale) << 18
    )
    tail = (
        (down if landscape else across) | _round(63 * p_scale) << 3 | _round(63 * q_scale) << 9 | int(landscape) << 15
    )
    nibbles = [_round(15 * value) for value in (*l_ac, *p_ac, *q_ac)]
    nibbles += [0] * (len(nibbles) % 2)
    packed = bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))
    return base64.b64encode(head.to_bytes(3, "little") + tail.to_bytes(2, "little") + packed).decode()


def _encode(channel: Channel, across: int, down: int) -> tuple[float, list[float], float]:
    """(mean, the other cosine coefficients scaled to 0..1, their largest magnitude), low frequencies only."""
    height, width = channel.shape
    rows = np.cos(np.pi / height * np.outer(np.arange(down), np.arange(height) + 0.5))
    columns = np.cos(np.pi / width * np.outer(np.arange(across), np.arange(width) + 0.5))
    spectrum = rows @ channel @ columns.T / (width * height)
    kept = [
        float(spectrum[cy, cx])
        for cy in range(down)
        for cx in range(across)
        if (cx or cy) and cx * down < across * (down - cy)
    ]
    scale = max((abs(value) for value in kept), default=0.0)
    return float(spectrum[0, 0]), [0.5 + 0.5 / scale * value if scale else 0.0 for value in kept], scale


def _round(value: float) -> int:
    """Half up, as the reference's language rounds."""
    return math.floor(value + 0.5)
