"""Chromaprint's audio fingerprint (algorithm 2, the one AcoustID uses), written in numpy after its published sources.

Chroma of overlapping windows -> smoothed, normalised -> 16 small filters over the chroma image -> 2 bits each. The
tables are Chromaprint's trained constants (MIT). Checked in a test against the reference implementation inside FFmpeg.
"""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

RATE = 11_025
WINDOW = 4096
HOP = WINDOW // 3
ALGORITHM = 1
"""AcoustID's number of this algorithm (CHROMAPRINT_ALGORITHM_TEST2) in the compressed form."""
_LOWEST_HZ, _HIGHEST_HZ = 28, 3520
_SMOOTH = np.asarray([0.25, 0.75, 1.0, 0.75, 0.25])
_GRAY = np.asarray([0, 1, 3, 2], np.uint32)
_SPAN = 16
"""Chroma rows under one sub-fingerprint."""

# (filter kind, first band, bands, rows), (quantizer thresholds)
_CLASSIFIERS = (
    ((0, 4, 3, 15), (1.98215, 2.35817, 2.63523)),
    ((4, 4, 6, 15), (-1.03809, -0.651211, -0.282167)),
    ((1, 0, 4, 16), (-0.298702, 0.119262, 0.558497)),
    ((3, 8, 2, 12), (-0.105439, 0.0153946, 0.135898)),
    ((3, 4, 4, 8), (-0.142891, 0.0258736, 0.200632)),
    ((4, 0, 3, 5), (-0.826319, -0.590612, -0.368214)),
    ((1, 2, 2, 9), (-0.557409, -0.233035, 0.0534525)),
    ((2, 7, 3, 4), (-0.0646826, 0.00620476, 0.0784847)),
    ((2, 6, 2, 16), (-0.192387, -0.029699, 0.215855)),
    ((2, 1, 3, 2), (-0.0397818, -0.00568076, 0.0292026)),
    ((5, 10, 1, 15), (-0.53823, -0.369934, -0.190235)),
    ((3, 6, 2, 10), (-0.124877, 0.0296483, 0.139239)),
    ((2, 1, 1, 14), (-0.101475, 0.0225617, 0.231971)),
    ((3, 5, 6, 4), (-0.0799915, -0.00729616, 0.063262)),
    ((1, 9, 2, 12), (-0.272556, 0.019424, 0.302559)),
    ((3, 4, 2, 14), (-0.164292, -0.0321188, 0.0846339)),
)


def fingerprint(pcm: NDArray[np.int16]) -> str | None:
    """AcoustID's base64 form of the fingerprint of mono 11025 Hz sound; None below about 3 s."""
    values = sub_fingerprints(pcm)
    return compressed(values) if values.size else None


def sub_fingerprints(pcm: NDArray[np.int16]) -> NDArray[np.uint32]:
    """(n,) 32-bit values, 8 a second; empty when the sound is shorter than 16 rows (2.6 s)."""
    image = _normalised(_smoothed(_chroma(pcm)))
    rows = image.shape[0] - _SPAN + 1
    if rows <= 0:
        return np.zeros(0, np.uint32)
    integral = np.zeros((image.shape[0] + 1, 13))
    integral[1:, 1:] = image.cumsum(axis=0).cumsum(axis=1)
    bits = np.zeros(rows, np.uint32)
    for (kind, band, bands, span), thresholds in _CLASSIFIERS:
        response = _response(integral, rows, kind, band, bands, span)
        bits = bits << np.uint32(2) | _GRAY[np.searchsorted(thresholds, response, side="right")]
    return bits


def _chroma(pcm: NDArray[np.int16]) -> NDArray[np.float64]:
    """(rows, 12) energy of each pitch class in each window."""
    count = (pcm.size - WINDOW) // HOP + 1
    if count <= 0:
        return np.zeros((0, 12))
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    frames = np.lib.stride_tricks.sliding_window_view(pcm, WINDOW)[::HOP][:count]
    first = max(1, round(WINDOW * _LOWEST_HZ / RATE))
    last = min(WINDOW // 2, round(WINDOW * _HIGHEST_HZ / RATE))
    bins = np.arange(first, last)
    octave = np.log2(bins * RATE / WINDOW / (440.0 / 16.0))
    notes = (12 * (octave - np.floor(octave))).astype(np.intp)
    classes = np.zeros((bins.size, 12))
    classes[np.arange(bins.size), notes] = 1
    rows = []
    for start in range(0, count, 256):  # bounded memory: 256 windows at a time
        spectrum = np.fft.rfft(frames[start : start + 256] / 32767.0 * window, axis=1)[:, first:last]
        rows.append((spectrum.real**2 + spectrum.imag**2) @ classes)
    return np.concatenate(rows)


def _smoothed(chroma: NDArray[np.float64]) -> NDArray[np.float64]:
    count = chroma.shape[0] - _SMOOTH.size + 1
    if count <= 0:
        return np.zeros((0, 12))
    smoothed: NDArray[np.float64] = sum(weight * chroma[place : place + count] for place, weight in enumerate(_SMOOTH))
    return smoothed


def _normalised(chroma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of length 1; near-silent ones become zero."""
    length = np.sqrt((chroma**2).sum(axis=1, keepdims=True))
    return np.where(length < 0.01, 0.0, chroma / np.maximum(length, 0.01))


def _response(
    integral: NDArray[np.float64], rows: int, kind: int, band: int, bands: int, span: int
) -> NDArray[np.float64]:
    """Compare two parts of a (span rows x bands) patch that begins at each row: log((1 + a) / (1 + b))."""

    def area(top: int, bottom: int, left: int, right: int) -> NDArray[np.float64]:
        """Sum over rows [top, bottom) from each start, bands [left, right)."""
        upper, lower = integral[top : top + rows], integral[bottom : bottom + rows]
        total: NDArray[np.float64] = lower[:, right] - upper[:, right] - lower[:, left] + upper[:, left]
        return total

    end, half_span, half_bands = band + bands, span // 2, bands // 2
    whole = (0, span, band, end)
    if kind == 0:
        first, second = area(*whole), np.zeros(rows)
    elif kind == 1:
        first, second = area(0, span, band + half_bands, end), area(0, span, band, band + half_bands)
    elif kind == 2:
        first, second = area(half_span, span, band, end), area(0, half_span, band, end)
    elif kind == 3:
        middle = band + half_bands
        first = area(0, half_span, middle, end) + area(half_span, span, band, middle)
        second = area(0, half_span, band, middle) + area(half_span, span, middle, end)
    elif kind == 4:
        third = bands // 3
        first = area(0, span, band + third, band + 2 * third)
        second = area(*whole) - first
    else:
        third = span // 3
        first = area(third, 2 * third, band, end)
        second = area(*whole) - first
    response: NDArray[np.float64] = np.log((1.0 + first) / (1.0 + second))
    return response


def compressed(values: NDArray[np.uint32]) -> str:
    """AcoustID's form: positions of the bits that change from value to value, in 3 bits each, long gaps in 5 more."""
    normal: list[int] = []
    exceptional: list[int] = []
    previous = 0
    for value in values.tolist():
        changed, last = value ^ previous, 0
        for bit in range(1, 33):
            if changed >> (bit - 1) & 1:
                gap = bit - last
                normal.append(min(gap, 7))
                if gap >= 7:
                    exceptional.append(gap - 7)
                last = bit
        normal.append(0)
        previous = value
    head = bytes([ALGORITHM]) + len(values).to_bytes(3, "big")
    data = head + _packed(normal, 3) + _packed(exceptional, 5)
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _packed(numbers: list[int], width: int) -> bytes:
    """Numbers of `width` bits, least significant first."""
    if not numbers:
        return b""
    bits = (np.asarray(numbers)[:, None] >> np.arange(width) & 1).astype(np.uint8).ravel()
    return np.packbits(bits, bitorder="little").tobytes()
