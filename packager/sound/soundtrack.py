"""The sound of the result: measured whole, then levelled and encoded once for all rungs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from packager.sound.aac import AacSound, encode_aac
from packager.sound.chain import Stereo
from packager.sound.loudness import gain_db
from packager.sound.measure import Measured, measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Soundtrack:
    """Both None when nothing sounds."""

    measured: Measured | None
    aac: AacSound | None


def make_soundtrack(blocks: Callable[[], Iterator[Stereo] | None], done: Callable[[float], None]) -> Soundtrack:
    """Two passes over `blocks()`, which gives the same mix each time. CPU-bound; `done` hears the part that is."""
    first = blocks()
    if first is None:
        return Soundtrack(measured=None, aac=None)
    measured = measure(first)
    done(0.5)
    again = blocks()
    assert again is not None
    aac = encode_aac(again, gain_db=gain_db(measured.loudness))
    done(1.0)
    return Soundtrack(measured=measured, aac=aac)
