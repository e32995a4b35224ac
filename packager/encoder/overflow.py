"""Decoded pictures that find no room in memory: their planes in files of the scratch folder that have no name."""

from __future__ import annotations

import mmap
import os
import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from packager.encoder.shape import video_graph

_SEGMENTS = 16
"""Files that share the limit: space comes back a file at a time, and the child may have only 64 open."""
_ALIGNED = 4096
"""Direct I/O wants whole blocks in memory, in length and on disk; no common disk has larger ones."""
_DIRECT = getattr(os, "O_DIRECT", 0)


_Colours = tuple[int, int]
"""Matrix and range as a picture names them. Whoever shapes it may set them, for good (at the size it has) or while a
scaler works: so they are no sign of another kind of picture. The shaper goes by what it was told and what it set."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Segment:
    descriptor: int
    used: int = 0
    pictures: int = 0
    """Of those written, how many are still wanted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slot:
    """Where one picture lies, and what is its own beside its pixels."""

    segment: _Segment
    offset: int
    colours: _Colours


class Overflow:
    """At most `limit_bytes` on disk. One thread writes, another reads; whatever goes wrong closes it for new pictures.

    The disk is written past the page cache where the file system can: that costs half of what going through it does
    (1.2 against 2.5 ms of processor time for a picture of 1080p written and read) and leaves the machine its memory.
    """

    def __init__(self, folder: Path, *, limit_bytes: int, picture_bytes: int) -> None:
        """`picture_bytes`: of one picture, about. `folder` exists."""
        self._folder = folder
        self._picture_bytes = picture_bytes
        self._segment_bytes = limit_bytes // _SEGMENTS
        self._lock = threading.Lock()  # guards the segments and their counts
        self._segments: list[_Segment] = []
        self._shut = False
        self._like: _Like | None = None
        self._outgoing, self._incoming = _Block(), _Block()

    def room(self) -> int:
        """How many more pictures it can take."""
        with self._lock:
            if self._shut:
                return 0
            each = self._segment_bytes // self._picture_bytes
            last = self._segments[-1] if self._segments else None
            begun = 0 if last is None else (self._segment_bytes - last.used) // self._picture_bytes
            return (_SEGMENTS - len(self._segments)) * each + begun

    def shut(self) -> None:
        """Take no more pictures; those it has can be read."""
        with self._lock:
            self._shut = True

    def write(self, picture: av.VideoFrame) -> Slot | None:
        """Keep the picture, or None: full, out of order, or not a picture like those before."""
        self._like = self._like or _like(picture)
        if self._like is None or not self._like.covers(picture):
            self.shut()
            return None
        size = self._like.pack(picture, self._outgoing)
        slot = self._reserve(size, (picture.colorspace, picture.color_range))
        if slot is None:
            return None
        try:
            if os.pwrite(slot.segment.descriptor, self._outgoing.head(size), slot.offset) == size:
                return slot
        except OSError:  # no space, a limit on file sizes, a broken disk: all the same here
            pass
        self.shut()
        self.release(slot)
        return None

    def read(self, slot: Slot) -> av.VideoFrame | None:
        """The picture as it was written; None where the disk does not give it back."""
        assert self._like is not None, "nothing is read before it was written"
        size = self._like.packed_bytes
        try:
            if os.preadv(slot.segment.descriptor, [self._incoming.head(size)], slot.offset) != size:
                return None
        except OSError:
            return None
        picture = self._like.unpack(self._incoming)
        picture.colorspace, picture.color_range = slot.colours
        return picture

    def release(self, slot: Slot) -> None:
        """The picture is not wanted any more."""
        with self._lock:
            slot.segment.pictures -= 1
            if slot.segment is not self._segments[-1]:
                self._dispose(slot.segment)

    def close(self) -> None:
        """Give all space back. Nobody reads or writes any more."""
        with self._lock:
            self._shut = True
            for segment in self._segments:
                os.close(segment.descriptor)
            self._segments.clear()

    def _reserve(self, size: int, colours: _Colours) -> Slot | None:
        with self._lock:
            if self._shut:
                return None
            last = self._segments[-1] if self._segments else None
            if last is None or last.used + size > self._segment_bytes:
                last = self._another(size)
            if last is None:
                return None
            slot = Slot(segment=last, offset=last.used, colours=colours)
            last.used += size
            last.pictures += 1
            return slot

    def _another(self, size: int) -> _Segment | None:
        if len(self._segments) >= _SEGMENTS or size > self._segment_bytes:
            return None
        try:
            segment = _Segment(descriptor=_nameless(self._folder / f"pictures-{threading.get_native_id()}"))
        except OSError:
            self._shut = True
            return None
        self._segments.append(segment)
        if len(self._segments) > 1:
            self._dispose(self._segments[-2])
        return segment

    def _dispose(self, segment: _Segment) -> None:
        """A file behind the last one whose pictures have all been read: nothing of it need reach the disk any more."""
        if segment.pictures == 0:
            os.close(segment.descriptor)
            self._segments.remove(segment)


def _nameless(path: Path) -> int:
    """A new file that is gone with its descriptor, so that a kill leaves nothing."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | _DIRECT, 0o600)
    except OSError:  # the file may be there all the same: some file systems look at O_DIRECT last
        path.unlink(missing_ok=True)
        descriptor = os.open(path, flags, 0o600)
    path.unlink()
    return descriptor


class _Block:
    """Memory that direct I/O takes, as large as was ever needed."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _ALIGNED)

    def head(self, size: int) -> memoryview:
        if len(self._memory) < size:
            self._memory = mmap.mmap(-1, size)
        return memoryview(self._memory)[:size]


class _Like:
    """What all pictures of a clip have in common: all but their pixels and colours."""

    def __init__(self, picture: av.VideoFrame, graph: Graph) -> None:
        self._picture = picture
        self._graph = graph
        self._lines = [min(pair) for pair in zip(_line_sizes(picture), _line_sizes(self._another()), strict=True)]
        used = sum(line * plane.height for line, plane in zip(self._lines, picture.planes, strict=True))
        self.packed_bytes = -(-used // _ALIGNED) * _ALIGNED

    def covers(self, picture: av.VideoFrame) -> bool:
        """Whether it differs from the others in its pixels and colours alone."""
        return _kind(picture) == _kind(self._picture) and all(
            own >= line for own, line in zip(_line_sizes(picture), self._lines, strict=True)
        )

    def pack(self, picture: av.VideoFrame, block: _Block) -> int:
        """The picture's planes one after the other, at the head of the block; returns how many bytes to keep."""
        for packed, own in self._pairs(picture, block):
            packed[:] = own
        return self.packed_bytes

    def unpack(self, block: _Block) -> av.VideoFrame:
        picture = self._another()
        for packed, own in self._pairs(picture, block):
            own[:] = packed
        return picture

    def _pairs(self, picture: av.VideoFrame, block: _Block) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        memory = np.frombuffer(block.head(self.packed_bytes), np.uint8)
        pairs, at = [], 0
        for plane, line in zip(picture.planes, self._lines, strict=True):
            packed = memory[at : at + line * plane.height].reshape(plane.height, line)
            own = np.frombuffer(memoryview(plane), np.uint8)[: plane.line_size * plane.height].reshape(plane.height, -1)
            pairs.append((packed, own[:, :line]))
            at += packed.size
        return pairs

    def _another(self) -> av.VideoFrame:
        """A picture with pixels of its own. A new one would not do: where its chroma lies cannot be set from here,
        and the scaler looks at it.
        """
        self._graph.push(self._picture)
        picture = self._graph.pull()
        assert isinstance(picture, av.VideoFrame)
        picture.make_writable()
        return picture


def _like(picture: av.VideoFrame) -> _Like | None:
    """None for pictures whose planes do not lie line after line."""
    if any(size <= 0 for size in _line_sizes(picture)):
        return None
    graph = video_graph(picture, [("null", "")])
    graph.push(picture)
    held = graph.pull()  # a reference of our own: the lanes set fields of the picture they were given
    assert isinstance(held, av.VideoFrame)
    held.pts, held.time_base = 0, Fraction(1, 30)
    return _Like(held, graph)


def _kind(picture: av.VideoFrame) -> tuple[object, ...]:
    return (picture.width, picture.height, picture.format.name)


def _line_sizes(picture: av.VideoFrame) -> list[int]:
    return [plane.line_size for plane in picture.planes]
