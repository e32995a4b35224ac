"""What an uploader may ask to be done to a clip. Validated here (pure), applied in the encoder."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from foundation.wire import Wire
from packager.errors import Refusal, RefusedInput

Volume = Annotated[float, msgspec.Meta(ge=0.0, le=2.0)]
Ms = Annotated[int, msgspec.Meta(ge=0, le=86_400_000)]


class Look(StrEnum):
    """Filter presets."""

    NONE = "none"
    MONO = "mono"
    SEPIA = "sepia"
    VIVID = "vivid"
    WARM = "warm"
    COOL = "cool"
    FADE = "fade"
    NOIR = "noir"
    VINTAGE = "vintage"
    PUNCH = "punch"
    DREAM = "dream"


class Layout(StrEnum):
    """How a partner clip is combined with this one."""

    DUET = "duet"
    """Side by side (or one above the other for landscape), both sounds mixed."""
    STITCH = "stitch"
    """The first seconds of the partner, then this clip."""


class SoundOverlay(Wire, frozen=True, kw_only=True):
    """A sound of the library laid under the clip; the file itself is given to `package(sound=...)`."""

    start_ms: Ms = 0
    """Where in the sound to begin."""
    volume: Volume = 1.0
    original_volume: Volume = 0.0
    """How much of the clip's own sound stays."""


class Partner(Wire, frozen=True, kw_only=True):
    """The other clip of a duet or stitch; the file itself is given to `package(partner=...)`."""

    layout: Layout
    stitch_ms: Annotated[int, msgspec.Meta(ge=200, le=5_000)] = 5_000
    volume: Volume = 1.0


class Edits(Wire, frozen=True, kw_only=True):
    """All edits of one upload. Times are on the source's clock before `speed`."""

    trim_start_ms: Ms = 0
    trim_end_ms: Ms | None = None
    speed: Annotated[float, msgspec.Meta(ge=0.5, le=2.0)] = 1.0
    look: Look = Look.NONE
    sound: SoundOverlay | None = None
    mute: bool = False
    thumbnail_ms: Ms | None = None
    """Poster frame, on the clock of the result; None: the packager picks."""
    partner: Partner | None = None


NO_EDITS = Edits()


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the source that is used and how fast it runs: result time = (source time - start) / speed."""

    start_s: float
    end_s: float
    speed: float

    @property
    def duration_s(self) -> float:
        return (self.end_s - self.start_s) / self.speed


def window_of(edits: Edits, *, source_duration_s: float, min_duration_s: float) -> Window:
    """The window the edits ask for, cut to the source. Raises RefusedInput when nothing usable is left."""
    start_s = edits.trim_start_ms / 1000
    end_s = min(source_duration_s, source_duration_s if edits.trim_end_ms is None else edits.trim_end_ms / 1000)
    window = Window(start_s=start_s, end_s=end_s, speed=edits.speed)
    if window.duration_s < min_duration_s:
        trimmed = bool(edits.trim_start_ms) or edits.trim_end_ms is not None
        if trimmed:
            raise RefusedInput(
                Refusal.EDITS,
                f"The trim {start_s:.1f}-{end_s:.1f} s leaves {max(0.0, window.duration_s):.1f} s of a "
                f"{source_duration_s:.1f} s clip; keep at least {min_duration_s:g} s.",
            )
        raise RefusedInput(
            Refusal.TOO_SHORT,
            f"The video lasts {source_duration_s:.2f} s; it must last at least {min_duration_s:g} s.",
        )
    return window
