"""The ladder: which rungs a source gets, and where every rung cuts its groups of pictures. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

AUDIO_BPS = 128_000
FIRST_FRAGMENT_S = 1
FRAGMENT_S = 2
MIN_TAIL_S = 1
"""A shorter last fragment shares evenly with the one before: a key picture alone in half a second is a peak in rate."""
MIN_SPLIT_S = Fraction(3, 2)
"""A clip shorter than this is one fragment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RungSpec:
    """One step of the ladder. `ceiling_bps` bounds the video rate (VBV), `crf` the quality beneath it."""

    short_edge: int
    ceiling_bps: int
    crf: float
    preset: str
    max_frame_rate: int


LADDER = (
    RungSpec(short_edge=360, ceiling_bps=600_000, crf=23.5, preset="faster", max_frame_rate=30),
    RungSpec(short_edge=480, ceiling_bps=1_000_000, crf=23.0, preset="veryfast", max_frame_rate=30),
    RungSpec(short_edge=720, ceiling_bps=2_500_000, crf=22.5, preset="veryfast", max_frame_rate=60),
    RungSpec(short_edge=1080, ceiling_bps=5_000_000, crf=22.0, preset="veryfast", max_frame_rate=60),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A rung of one video: its size (even, square pixels), rate and cuts."""

    name: str
    width: int
    height: int
    frame_rate: Fraction
    decimate: int
    """Every n-th frame of the video's frame grid is encoded (2 when a low rung halves 60 fps)."""
    total_frames: int
    cuts: tuple[int, ...]
    """First frame of every fragment, on this rung's own grid; begins with 0."""
    ceiling_bps: int
    crf: float
    preset: str


def rungs_of(
    width: int, height: int, frame_rate: Fraction, total_frames: int, ladder: tuple[RungSpec, ...] = LADDER
) -> tuple[Rung, ...]:
    """Rungs for an upright, square-pixel picture, lowest first; never upscaled, never empty.

    A source below the lowest step gets one rung of its own size, named by its own short edge.
    """
    short = min(width, height)
    steps = [step for step in ladder if step.short_edge <= short]
    if not steps:
        low = ladder[0]
        share = max(0.15, (short / low.short_edge) ** 2)
        steps = [
            RungSpec(
                short_edge=short - short % 2,
                ceiling_bps=int(low.ceiling_bps * share),
                crf=low.crf,
                preset=low.preset,
                max_frame_rate=low.max_frame_rate,
            )
        ]
    decimations = [_decimation(step, frame_rate) for step in steps]
    coarse = max(decimations)
    # Cut on the slowest rung's grid: at 59.94 and 29.97 each grid's own roundings would drift apart.
    cuts = [coarse * cut for cut in cuts_of(-(-total_frames // coarse), frame_rate / coarse)]
    return tuple(
        _rung(step, scaled(width, height, step.short_edge), frame_rate, total_frames, decimate, cuts)
        for step, decimate in zip(steps, decimations, strict=True)
    )


def _decimation(step: RungSpec, frame_rate: Fraction) -> int:
    return 2 if frame_rate > step.max_frame_rate * Fraction(101, 100) else 1


def _rung(
    step: RungSpec, size: tuple[int, int], frame_rate: Fraction, total_frames: int, decimate: int, cuts: list[int]
) -> Rung:
    rung_width, rung_height = size
    return Rung(
        name=f"{step.short_edge}p",
        width=rung_width,
        height=rung_height,
        frame_rate=frame_rate / decimate,
        decimate=decimate,
        total_frames=-(-total_frames // decimate),
        cuts=tuple(cut // decimate for cut in cuts),
        ceiling_bps=step.ceiling_bps,
        crf=step.crf,
        preset=step.preset,
    )


def threads_of(rungs: Sequence[Rung], cpus: int) -> tuple[int, ...]:
    """Encoder threads for rungs that are encoded together: each its share of the pixels, rounded up; pure.

    More threads than that cost a little quality and processor time; fewer leave the largest rung to end alone.
    """
    work = [rung.width * rung.height * rung.total_frames for rung in rungs]
    return tuple(max(1, -(-cpus * part // sum(work))) for part in work)


def even(pixels: float) -> int:
    """The nearest even number, at least 2: 4:2:0 needs both edges even."""
    return max(2, 2 * round(pixels / 2))


def scaled(width: int, height: int, short_edge: int) -> tuple[int, int]:
    """The size with that short edge and the same shape, both edges even."""
    if width <= height:
        return even(short_edge), even(height * short_edge / width)
    return even(width * short_edge / height), even(short_edge)


def cuts_of(total_frames: int, frame_rate: Fraction) -> tuple[int, ...]:
    """First frame of each fragment: 1 s, then 2 s each; the last two share evenly when the last would be under 1 s.

    A cut is the first frame at or after its instant. All fragments of a clip longer than 2 s last 1 to 2 s (give or
    take a frame), so the target duration is 2 and every fragment counts for the peak bit rate (RFC 8216 section 4.1).
    """
    cuts = [0]
    if total_frames / frame_rate < MIN_SPLIT_S:
        return (0,)
    instant = Fraction(FIRST_FRAGMENT_S)
    while (frame := -(-instant * frame_rate // 1)) < total_frames:
        cuts.append(int(frame))
        instant += FRAGMENT_S
    if len(cuts) > 1 and (total_frames - cuts[-1]) / frame_rate < MIN_TAIL_S:
        cuts.pop()
        cuts.append((cuts[-1] + total_frames + 1) // 2)
    return tuple(cuts)


STANDARD_RATES = tuple(
    Fraction(*pair)
    for pair in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (48, 1), (50, 1), (60000, 1001), (60, 1))
)


def output_rate(measured: Fraction, *, variable: bool) -> Fraction:
    """The constant rate the video is packaged at.

    A steady source keeps its rate: within 0.4 % of a standard one that exact rate, above 60 its half, third or quarter.
    A variable one gets the next standard rate up (24 at least), so that no frame it has is lost below 60.
    """
    rate = measured
    while rate > Fraction(605, 10):
        rate /= 2
    if variable:
        return next((std for std in STANDARD_RATES if std >= max(rate * Fraction(98, 100), Fraction(23))), Fraction(60))
    near = min(STANDARD_RATES, key=lambda std: abs(std - rate))
    if abs(near - rate) <= near * Fraction(4, 1000):
        return near
    return max(Fraction(5), rate.limit_denominator(1001))
