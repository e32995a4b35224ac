"""What is packaged: one clip, or two combined, as pictures on a constant grid and as blocks of sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from packager.edits import Edits, Layout, Window, window_of
from packager.encoder.compose import Canvas, paired
from packager.encoder.pictures import on_grid, packets_before, same_picture, stamped_pictures
from packager.encoder.shape import ShapeSpec, deinterlaced, shape_spec
from packager.encoder.survey import Survey, survey
from packager.errors import Refusal, RefusedInput
from packager.ladder import LADDER, output_rate, scaled
from packager.limits import Limits
from packager.mp4.init_segment import Colour
from packager.sound.chain import RATE, SoundTrack, Stereo, overlay_blocks, stereo_blocks
from packager.sound.mix import mixed, one_after_another, scaled_by

Pictures = Iterator[tuple[int, av.VideoFrame]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Open descriptors of everything the child may read."""

    source: int
    sound: int | None = None
    partner: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One clip of the scene with the window of it that is used."""

    descriptor: int
    seen: Survey
    window: Window

    def pictures(self, *, rate: Fraction, total: int, threads: int, start: int = 0) -> Pictures:
        """`total` decoded pictures on the grid. With `start` the ones before that place may be others: decoding
        begins at a key picture not long before it.
        """
        skip = 0
        if start and not self.seen.info.interlaced:  # the deinterlacer looks back
            skip = packets_before(self.seen, self.window, rate=rate, place=start)
        stamped = stamped_pictures(self.descriptor, self.seen, self.window, threads=threads, skip=skip)
        if self.seen.info.interlaced:
            stamped = deinterlaced(stamped)
        return on_grid(stamped, rate=rate, total=total)

    def sound(self, *, samples: int) -> Iterator[Stereo] | None:
        """Exactly `samples` of sound, or None without any."""
        if self.seen.audio_index is None:
            return None
        track = SoundTrack(
            descriptor=self.descriptor, index=self.seen.audio_index, origin_s=self.seen.origin_s, window=self.window
        )
        return stereo_blocks(track, total_samples=samples)

    def spec(self, *, edits: Edits, colour: Colour, out_dir: Path, name: str) -> ShapeSpec:
        return shape_spec(
            rotation=self.seen.rotation,
            full_range=self.seen.full_range,
            colour=colour,
            source_matrix=self.seen.source_matrix,
            hdr=self.seen.info.hdr,
            look=edits.look,
            out_dir=out_dir,
            name=name,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A clip as it will be seen: size (upright, square pixels), rate, length, and how to get at it, as often as needed.

    `spec` shapes the pictures that `pictures` yields; `lead` is the number of grid places a stitched partner takes.
    """

    own: Part
    partner: Part | None
    edits: Edits
    inputs: Inputs
    width: int
    height: int
    rate: Fraction
    total: int
    lead: int
    spec: ShapeSpec
    canvas: Canvas | None

    @property
    def duration_s(self) -> Fraction:
        return self.total / self.rate

    @property
    def picture_bytes(self) -> int:
        """Memory of one picture that `pictures` yields, at most."""
        info = self.own.seen.info
        if self.canvas is not None:
            return self.width * self.height * 3 // 2
        return int(info.coded_width * info.coded_height * self.own.seen.bytes_per_pixel)

    def pictures(self, *, threads: int) -> Pictures:
        """(index, picture) for every place of the grid, decoding anew each time. CPU-bound."""
        own = self.own.pictures(rate=self.rate, total=self.total - self.lead, threads=threads)
        if self.partner is None or self.canvas is None:
            return own
        if self.lead:
            first = self.partner.pictures(rate=self.rate, total=self.lead, threads=threads)
            return self.canvas.stitched(first, own, lead=self.lead)
        other = self.partner.pictures(rate=self.rate, total=self.total, threads=threads)
        return self.canvas.side_by_side(paired(other, own))

    def resumed(self, place: int, last: av.VideoFrame | None, *, threads: int) -> Pictures:
        """The pictures from `place` on, decoded anew; `last` is the one that was shown before.

        Decoding begins at a key picture when there is one, and proves itself: unless it comes to the very picture that
        was shown last, it begins at the beginning (key pictures that lie about what follows them do exist).
        """
        if last is not None and self.partner is None:
            again = self.own.pictures(rate=self.rate, total=self.total, threads=threads, start=place - 1)
            before = next((picture for index, picture in again if index == place - 1), None)
            if before is not None and same_picture(before, last):
                return again
        return (item for item in self.pictures(threads=threads) if item[0] >= place)

    def sound(self) -> Iterator[Stereo] | None:
        """The finished mix before levelling, exactly as long as the pictures; None when nothing sounds."""
        samples = round(self.duration_s * RATE)
        lead = round(self.lead / self.rate * RATE)
        own = None if self.edits.mute else self.own.sound(samples=samples - lead)
        if self.edits.sound is not None:
            own = None if own is None else scaled_by(own, self.edits.sound.original_volume)
        mix = self._with_partner(own, samples=samples, lead=lead)
        if self.edits.sound is None or self.inputs.sound is None:  # build_scene saw to it that both are there
            return mix
        over = overlay_blocks(self.inputs.sound, start_s=self.edits.sound.start_ms / 1000, total_samples=samples)
        over = scaled_by(over, self.edits.sound.volume)
        return over if mix is None else mixed(mix, over)

    def _with_partner(self, own: Iterator[Stereo] | None, *, samples: int, lead: int) -> Iterator[Stereo] | None:
        if self.partner is None or self.edits.partner is None:
            return own
        other = self.partner.sound(samples=lead or samples)
        if other is not None:
            other = scaled_by(other, self.edits.partner.volume)
        if lead:
            return one_after_another(other, lead, own, samples - lead)
        if own is None or other is None:
            return own or other
        return mixed(own, other)


def build_scene(inputs: Inputs, *, edits: Edits, limits: Limits, out_dir: Path) -> Scene:
    """Survey the inputs and decide what the result is. Raises RefusedInput."""
    if edits.sound is not None and inputs.sound is None:
        raise RefusedInput(Refusal.EDITS, "The chosen sound is not there any more. Choose another one.")
    own = _part(inputs.source, edits, limits)
    rate = own.seen.rate
    if own.window.speed != 1:
        rate = output_rate(rate * Fraction(own.window.speed), variable=False)
    total = max(1, round(own.window.duration_s * rate))
    if edits.partner is None:
        spec = own.spec(edits=edits, colour=own.seen.colour, out_dir=out_dir, name="own")
        info = own.seen.info
        return Scene(
            own=own,
            partner=None,
            edits=edits,
            inputs=inputs,
            width=info.width,
            height=info.height,
            rate=rate,
            total=total,
            lead=0,
            spec=spec,
            canvas=None,
        )
    return _with_partner(inputs, own, rate, total, edits=edits, limits=limits, out_dir=out_dir)


def _part(descriptor: int, edits: Edits, limits: Limits) -> Part:
    seen = survey(descriptor, limits)
    window = window_of(edits, source_duration_s=seen.duration_s, min_duration_s=limits.min_duration_s)
    if window.duration_s > limits.max_duration_s:
        raise RefusedInput(
            Refusal.TOO_LONG,
            f"The video lasts {window.duration_s:.0f} s; at most {limits.max_duration_s:.0f} s are allowed. Trim it.",
        )
    return Part(descriptor=descriptor, seen=seen, window=window)


def _with_partner(
    inputs: Inputs, own: Part, rate: Fraction, total: int, *, edits: Edits, limits: Limits, out_dir: Path
) -> Scene:
    assert edits.partner is not None
    if inputs.partner is None:
        raise RefusedInput(Refusal.EDITS, "A duet or stitch needs the other video; it is not there.")
    partner = _part(inputs.partner, Edits(), limits)
    stitch = edits.partner.layout is Layout.STITCH
    lead = 0
    if stitch:
        seconds = min(edits.partner.stitch_ms / 1000, partner.seen.duration_s)
        partner = Part(
            descriptor=partner.descriptor, seen=partner.seen, window=Window(start_s=0.0, end_s=seconds, speed=1.0)
        )
        lead = max(1, round(seconds * rate))
    colour = own.seen.colour
    canvas = Canvas(
        cell=_cell(own.seen.info.width, own.seen.info.height),
        stacked=not stitch and own.seen.info.width > own.seen.info.height,
        single=stitch,
        own=own.spec(edits=edits, colour=colour, out_dir=out_dir, name="own"),
        own_size=(own.seen.info.width, own.seen.info.height),
        other=partner.spec(edits=Edits(), colour=colour, out_dir=out_dir, name="other"),
        other_size=(partner.seen.info.width, partner.seen.info.height),
    )
    width, height = canvas.size
    return Scene(
        own=own,
        partner=partner,
        edits=edits,
        inputs=inputs,
        width=width,
        height=height,
        rate=rate,
        total=total + lead,
        lead=lead,
        spec=ShapeSpec(rotation=0, full_range=False, colour=colour, source_matrix=colour.matrix),
        canvas=canvas,
    )


def _cell(width: int, height: int) -> tuple[int, int]:
    """Size of one clip within the canvas: its own, at most the top rung's."""
    top = LADDER[-1].short_edge
    return scaled(width, height, top) if min(width, height) > top else (width - width % 2, height - height % 2)
