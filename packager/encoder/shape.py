"""From a decoded picture to an upright, square-pixel, 8-bit 4:2:0 SDR one of a wanted size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.filter import Graph
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from packager.edits import Look
from packager.mp4.init_segment import Colour
from packager.picture.colour_lut import VIGNETTED, cube_text, table

BT709 = Colour(primaries=1, transfer=1, matrix=1)
BT601 = Colour(primaries=6, transfer=6, matrix=6)
_MATRIX_NAMES = {1: "bt709", 6: "smpte170m"}
_SD_MATRICES = {5, 6, 7}
SCRATCH = ".scratch"
"""Folder inside out_dir (the child's working directory) for tables that FFmpeg reads by name."""

Steps = Sequence[tuple[str, str]]


def colour_of(frame: av.VideoFrame) -> Colour:
    """The SDR colour space of the result: the source's own matrix where it says one, else by picture size.

    Wide-gamut (BT.2020) sources end up in BT.709.
    """
    matrix = int(frame.colorspace)
    if matrix in _SD_MATRICES:
        return BT601
    if matrix in (2, 3):  # unspecified, reserved
        large = max(frame.width, frame.height) >= 1280 or min(frame.width, frame.height) >= 720
        return BT709 if large else BT601
    return BT709


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeSpec:
    """How pictures of this source are made upright. `steps` run at the wanted size, after turning."""

    rotation: int
    full_range: bool
    colour: Colour
    source_matrix: int
    """Matrix code point of the decoded pictures."""
    steps: Steps = ()
    pixel_format: str = "yuv420p"
    """Format the steps are given; the result is always yuv420p."""


def shape_spec(
    *,
    rotation: int,
    full_range: bool,
    colour: Colour,
    source_matrix: int,
    hdr: str | None,
    look: Look,
    out_dir: Path,
    name: str,
) -> ShapeSpec:
    """The spec for a source and a look; writes the colour table out_dir/.scratch/{name}.cube when one is needed."""
    values = table(hdr=hdr, look=look)
    if values is None:
        return ShapeSpec(rotation=rotation, full_range=full_range, colour=colour, source_matrix=source_matrix)
    scratch = out_dir / SCRATCH
    scratch.mkdir(exist_ok=True)
    (scratch / f"{name}.cube").write_text(cube_text(values))
    steps = [("lut3d", f"file={SCRATCH}/{name}.cube:interp=tetrahedral")]
    if look in VIGNETTED:
        steps.append(("vignette", "angle=PI/5"))
    steps.append(("scale", f"out_color_matrix={_MATRIX_NAMES[colour.matrix]}:out_range=tv"))
    return ShapeSpec(
        rotation=rotation,
        full_range=full_range,
        colour=colour,
        source_matrix=source_matrix,
        steps=steps,
        pixel_format="gbrp10le" if hdr else "gbrp",
    )


_TURNS: dict[int, Steps] = {
    0: (),
    90: (("transpose", "clock"),),
    180: (("hflip", ""), ("vflip", "")),
    270: (("transpose", "cclock"),),
}


class Shaper:
    """Scales first, turns and filters after: the costly steps then see few pixels. One per thread and size."""

    def __init__(self, spec: ShapeSpec, width: int, height: int, *, interpolation: Interpolation) -> None:
        self._spec = spec
        self._size = (height, width) if spec.rotation in (90, 270) else (width, height)
        self._steps = [*_TURNS[spec.rotation], *spec.steps]
        self._scaler = VideoReformatter()
        self._interpolation = interpolation
        self._graph: Graph | None = None
        self._last: tuple[av.VideoFrame, av.VideoFrame] | None = None

    def shape(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The picture at the wanted size. A repeated picture (same object) is shaped once."""
        if self._last is not None and self._last[0] is frame:
            return self._last[1]
        shaped = self._scaled(frame)
        if self._steps:
            shaped = self._filtered(shaped)
        shaped.colorspace = self._spec.colour.matrix
        shaped.color_range = ColorRange.MPEG
        self._last = (frame, shaped)
        return shaped

    def _scaled(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Scaled and in the steps' format. The matrix is kept between YUV formats (but BT.2020 becomes BT.709)."""
        width, height = self._size
        spec = self._spec
        return self._scaler.reformat(
            frame,
            width,
            height,
            spec.pixel_format,
            src_colorspace=spec.source_matrix,
            dst_colorspace=spec.colour.matrix,
            interpolation=self._interpolation,
            src_color_range=ColorRange.JPEG if spec.full_range else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG if spec.pixel_format.startswith("gbr") else ColorRange.MPEG,
            threads=1,
        )

    def _filtered(self, frame: av.VideoFrame) -> av.VideoFrame:
        if self._graph is None:
            self._graph = video_graph(frame, [*self._steps, ("format", "yuv420p")])
        frame.pts, frame.time_base = 0, Fraction(1, 30)
        self._graph.push(frame)
        made = self._graph.pull()
        assert isinstance(made, av.VideoFrame)
        return made


def deinterlaced(stamped: Iterable[tuple[float, av.VideoFrame]]) -> Iterator[tuple[float, av.VideoFrame]]:
    """Whole pictures out of interlaced ones, at the same times; progressive pictures pass."""
    clock = 90_000
    graph: Graph | None = None
    for at_s, frame in stamped:
        if graph is None:
            graph = video_graph(frame, [("bwdif", "mode=send_frame:deint=interlaced")], time_base=Fraction(1, clock))
        frame.pts, frame.time_base = round(at_s * clock), Fraction(1, clock)
        graph.push(frame)
        yield from _drained(graph)
    if graph is not None:
        graph.push(None)
        yield from _drained(graph)


def _drained(graph: Graph) -> Iterator[tuple[float, av.VideoFrame]]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, av.VideoFrame)
        assert frame.pts is not None
        assert frame.time_base is not None
        yield float(frame.pts * frame.time_base), frame


def video_graph(like: av.VideoFrame, steps: Steps, *, time_base: Fraction = Fraction(1, 30)) -> Graph:
    """buffer (size and format of `like`) -> steps -> sink; every step gives one picture for one."""
    graph = Graph()
    graph.threads = 1
    nodes = [graph.add_buffer(width=like.width, height=like.height, format=like.format, time_base=time_base)]
    nodes += [graph.add(name, args or None) for name, args in steps]
    nodes.append(graph.add("buffersink"))
    graph.link_nodes(*nodes).configure()
    return graph
