"""Two clips on one canvas: side by side (duet) or one after the other (stitch)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from packager.encoder.shape import Shaper, ShapeSpec
from packager.ladder import even

Pictures = Iterator[tuple[int, av.VideoFrame]]


def paired(first: Pictures, second: Pictures) -> Iterator[tuple[int, av.VideoFrame, av.VideoFrame]]:
    """Two clips on the same grid, picture by picture."""
    for (index, left), (_, right) in zip(first, second, strict=True):
        yield index, left, right


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """Cells of equal size that clips fill completely (cut at the edges where shapes differ, never barred)."""

    cell: tuple[int, int]
    stacked: bool
    """A duet's cells lie one above the other (landscape) or side by side."""
    single: bool
    """One cell only: a stitch."""
    own: ShapeSpec
    own_size: tuple[int, int]
    other: ShapeSpec
    other_size: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        width, height = self.cell
        if self.single:
            return width, height
        return (width, 2 * height) if self.stacked else (2 * width, height)

    def side_by_side(self, pairs: Iterator[tuple[int, av.VideoFrame, av.VideoFrame]]) -> Pictures:
        """The other clip left (above), the own one right (below)."""
        other, own = self._filler(self.other, self.other_size), self._filler(self.own, self.own_size)
        axis = 0 if self.stacked else 1
        for index, left, right in pairs:
            planes = zip(other.fill(left), own.fill(right), strict=True)
            yield index, _frame([np.concatenate(pair, axis=axis) for pair in planes], self.own)

    def stitched(self, first: Pictures, second: Pictures, *, lead: int) -> Pictures:
        """`lead` pictures of the other clip, then the own one."""
        other, own = self._filler(self.other, self.other_size), self._filler(self.own, self.own_size)
        for index, picture in first:
            yield index, _frame(other.fill(picture), self.own)
        for index, picture in second:
            yield lead + index, _frame(own.fill(picture), self.own)

    def _filler(self, spec: ShapeSpec, size: tuple[int, int]) -> _Filler:
        return _Filler(spec, size, self.cell)


class _Filler:
    """Scales pictures so that they cover a cell and cuts the middle out."""

    def __init__(self, spec: ShapeSpec, size: tuple[int, int], cell: tuple[int, int]) -> None:
        share = max(cell[0] / size[0], cell[1] / size[1])
        self._width, self._height = max(cell[0], even(size[0] * share)), max(cell[1], even(size[1] * share))
        self._left, self._top = (self._width - cell[0]) // 4 * 2, (self._height - cell[1]) // 4 * 2
        self._cell = cell
        self._shaper = Shaper(spec, self._width, self._height, interpolation=Interpolation.BICUBIC)

    def fill(self, picture: av.VideoFrame) -> list[NDArray[np.uint8]]:
        """Y, U and V planes of the cell."""
        planes = _planes(self._shaper.shape(picture))
        return [self._cut(plane, 1 if number == 0 else 2) for number, plane in enumerate(planes)]

    def _cut(self, plane: NDArray[np.uint8], divide: int) -> NDArray[np.uint8]:
        left, top = self._left // divide, self._top // divide
        return plane[top : top + self._cell[1] // divide, left : left + self._cell[0] // divide]


def _planes(frame: av.VideoFrame) -> list[NDArray[np.uint8]]:
    """Views of the planes of a yuv420p picture, without their padding."""
    return [
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    ]


def _frame(planes: list[NDArray[np.uint8]], spec: ShapeSpec) -> av.VideoFrame:
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, pixels in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : plane.width] = pixels
        plane.update(rows.tobytes())
    frame.colorspace, frame.color_range = spec.colour.matrix, 1
    return frame
