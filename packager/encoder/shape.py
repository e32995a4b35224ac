"""From a decoded picture to an upright, square-pixel, 8-bit 4:2:0 one of a wanted size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from av.filter import Graph
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from packager.mp4.init_segment import Colour

BT709 = Colour(primaries=1, transfer=1, matrix=1)
BT601 = Colour(primaries=6, transfer=6, matrix=6)
_MATRICES = {1, 5, 6, 7}
"""Matrix code points that are passed on as they are."""

Steps = Sequence[tuple[str, str]]


def colour_of(frame: av.VideoFrame) -> Colour:
    """What the result is tagged with: the source's own matrix where it is a usual SDR one, else by picture size."""
    matrix = int(frame.colorspace)
    if matrix == 1:
        return BT709
    if matrix in _MATRICES:
        return BT601
    return BT709 if max(frame.width, frame.height) >= 1280 or min(frame.width, frame.height) >= 720 else BT601


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeSpec:
    """How pictures of this source are made upright. `steps` are filters that run at the wanted size, in order."""

    rotation: int
    full_range: bool
    steps: Steps = ()
    pixel_format: str = "yuv420p"
    """Format the steps are given; the result is always yuv420p."""


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
        self._last = (frame, shaped)
        return shaped

    def _scaled(self, frame: av.VideoFrame) -> av.VideoFrame:
        width, height = self._size
        return self._scaler.reformat(
            frame,
            width,
            height,
            self._spec.pixel_format,
            interpolation=self._interpolation,
            src_color_range=ColorRange.JPEG if self._spec.full_range else None,
            dst_color_range=ColorRange.MPEG if self._spec.full_range else None,
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


def video_graph(like: av.VideoFrame, steps: Steps) -> Graph:
    """buffer (size and format of `like`) -> steps -> sink; every step must give one picture for one."""
    graph = Graph()
    graph.threads = 1
    nodes = [graph.add_buffer(width=like.width, height=like.height, format=like.format, time_base=Fraction(1, 30))]
    nodes += [graph.add(name, args or None) for name, args in steps]
    nodes.append(graph.add("buffersink"))
    graph.link_nodes(*nodes).configure()
    return graph
