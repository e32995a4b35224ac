"""Colour tables: HDR to SDR, and the filter presets. FFmpeg applies them (lut3d); here they are computed. Pure.

A table maps R'G'B' code values 0..1 to R'G'B' code values of BT.709 SDR. A tone map and a look are composed into one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from packager.edits import Look

Rgb = NDArray[np.float64]
"""(..., 3) float, 0..1."""

EDGE = 33
SDR_WHITE_NITS = 203.0
"""Reference white of HDR (ITU-R BT.2408)."""
HLG_PEAK_NITS = 1000.0
_KNEE = 0.6
"""Linear light below this is kept as it is; above, highlights roll off towards 1."""
_WHITE_AT = 0.85
"""Reference white is put here, which leaves room for highlights."""
_TO_709 = np.asarray(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]]
)
_LUMA_709 = np.asarray([0.2126, 0.7152, 0.0722])


def pq_to_nits(code: Rgb) -> Rgb:
    """SMPTE ST 2084 EOTF."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = np.power(np.clip(code, 0, 1), 1 / m2)
    light: Rgb = 10_000 * np.power(np.maximum(power - c1, 0) / (c2 - c3 * power), 1 / m1)
    return light


def hlg_to_nits(code: Rgb) -> Rgb:
    """ARIB STD-B67 inverse OETF, then the OOTF of a 1000 nit display (BT.2100, system gamma 1.2)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((np.maximum(code, 0.5) - c) / a) + b) / 12)
    luma = scene @ np.asarray([0.2627, 0.6780, 0.0593])
    light: Rgb = HLG_PEAK_NITS * scene * np.power(np.maximum(luma, 1e-6), 0.2)[..., None]
    return light


def tone_mapped(nits: Rgb) -> Rgb:
    """BT.2020 light to BT.709 SDR code values. The largest channel is compressed, the others follow: hues stay."""
    linear = nits / SDR_WHITE_NITS * _WHITE_AT @ _TO_709.T
    peak = np.maximum(linear.max(axis=-1, keepdims=True), 1e-9)
    over = np.maximum(peak - _KNEE, 0) / (1 - _KNEE)
    squeezed = np.where(peak > _KNEE, _KNEE + (1 - _KNEE) * over / (1 + over), peak)
    sdr: Rgb = np.clip(linear * (squeezed / peak), 0, 1) ** (1 / 2.4)
    return sdr


def _luma(rgb: Rgb) -> Rgb:
    grey: Rgb = (rgb @ _LUMA_709)[..., None]
    return grey


def _contrast(rgb: Rgb, amount: float) -> Rgb:
    """An S-curve through 0, middle grey and 1; amount 0..1."""
    curve: Rgb = rgb + amount * (rgb - 0.5) * rgb * (1 - rgb) * 4 * 0.5
    return curve


def _saturate(rgb: Rgb, amount: float) -> Rgb:
    grey = _luma(rgb)
    saturated: Rgb = grey + (rgb - grey) * amount
    return saturated


def _tint(rgb: Rgb, red: float, green: float, blue: float) -> Rgb:
    tinted: Rgb = rgb * np.asarray([red, green, blue])
    return tinted


def _lift(rgb: Rgb, black: float, white: float) -> Rgb:
    lifted: Rgb = black + rgb * (white - black)
    return lifted


def _sepia(rgb: Rgb) -> Rgb:
    return _tint(_contrast(np.repeat(_luma(rgb), 3, axis=-1), 0.3), 1.08, 0.92, 0.70)


def _vintage(rgb: Rgb) -> Rgb:
    return _lift(_tint(_saturate(_contrast(rgb, 0.3), 0.7), 1.06, 1.0, 0.86), 0.06, 0.96)


def _noir(rgb: Rgb) -> Rgb:
    return _contrast(_contrast(np.repeat(_luma(rgb) ** 1.1, 3, axis=-1), 1.0), 0.6)


def _dream(rgb: Rgb) -> Rgb:
    return _lift(_tint(_saturate(rgb**0.85, 0.9), 1.04, 0.98, 1.06), 0.04, 1.0)


LOOKS: dict[Look, Callable[[Rgb], Rgb]] = {
    Look.MONO: lambda rgb: np.repeat(_luma(rgb), 3, axis=-1),
    Look.SEPIA: _sepia,
    Look.VIVID: lambda rgb: _saturate(_contrast(rgb, 0.4), 1.45),
    Look.WARM: lambda rgb: _tint(rgb, 1.08, 1.01, 0.88),
    Look.COOL: lambda rgb: _tint(rgb, 0.90, 1.0, 1.10),
    Look.FADE: lambda rgb: _lift(_saturate(rgb, 0.75), 0.10, 0.94),
    Look.NOIR: _noir,
    Look.VINTAGE: _vintage,
    Look.PUNCH: lambda rgb: _saturate(_contrast(rgb, 1.0), 1.2),
    Look.DREAM: _dream,
}
VIGNETTED = frozenset({Look.NOIR, Look.VINTAGE})
"""Looks that also darken the corners (FFmpeg's vignette)."""

_TRANSFERS: dict[str, Callable[[Rgb], Rgb]] = {"pq": pq_to_nits, "hlg": hlg_to_nits}


def table(*, hdr: str | None, look: Look) -> Rgb | None:
    """(33, 33, 33, 3) table indexed [blue, green, red], or None when nothing is to be changed."""
    if hdr is None and look is Look.NONE:
        return None
    steps = np.linspace(0, 1, EDGE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    rgb: Rgb = np.stack([red, green, blue], axis=-1)
    if hdr is not None:
        rgb = tone_mapped(_TRANSFERS[hdr](rgb))
    if look is not Look.NONE:
        rgb = LOOKS[look](rgb)
    return np.clip(rgb, 0, 1)


def cube_text(values: Rgb) -> str:
    """The table as an Adobe .cube file (red varies fastest)."""
    rows = "\n".join(f"{red:.5f} {green:.5f} {blue:.5f}" for red, green, blue in values.reshape(-1, 3))
    return f"LUT_3D_SIZE {EDGE}\n{rows}\n"
