"""Decoded pictures on the result's clock: a constant frame rate out of whatever timestamps the source has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeVar

import av
import numpy as np
from numpy.typing import NDArray

from packager.edits import Window
from packager.encoder.source import decoded_pictures, open_known, video_stream
from packager.encoder.survey import Survey

T = TypeVar("T")


def stamped_pictures(
    descriptor: int, seen: Survey, window: Window, *, threads: int, skip: int = 0
) -> Iterator[tuple[float, av.VideoFrame]]:
    """(seconds on the result's clock, picture) up to the end of the window, times rising.

    `skip` packets are read, but not decoded: reading is cheap, and unlike seeking it is exact in every container.
    """
    with open_known(descriptor, size=(seen.info.coded_width, seen.info.coded_height)) as container:
        stream = video_stream(container, seen.video_index)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        latest = float("-inf")
        for frame in decoded_pictures(container, stream, skip=skip):
            if frame.pts is None or frame.time_base is None:
                continue
            at_s = float(frame.pts * frame.time_base) - seen.origin_s
            if at_s <= latest:
                continue
            latest = at_s
            if at_s >= window.end_s:
                return
            yield (at_s - window.start_s) / window.speed, frame


def packets_before(seen: Survey, window: Window, *, rate: Fraction, place: int) -> int:
    """How many packets can be left out when the picture shown at `place` is the first that is wanted; pure."""
    latest_s = window.start_s + window.speed * float((place + Fraction(1, 2)) / rate)
    shown = int(np.searchsorted(seen.frame_times, latest_s)) - 1
    if shown < 0:
        return 0
    # Both times were made of the same stamp in the same way, so a key picture finds itself.
    return max((key.number for key in seen.keys if key.at_s <= seen.frame_times[shown]), default=0)


def same_picture(one: av.VideoFrame, other: av.VideoFrame) -> bool:
    """Whether the first planes (luma, or all there is) are equal byte by byte."""
    if (one.width, one.height, one.format.name) != (other.width, other.height, other.format.name):
        return False
    return bool(np.array_equal(_first_plane(one), _first_plane(other)))


def _first_plane(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Its lines without the padding behind them, which differs from buffer to buffer."""
    plane = frame.planes[0]
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return lines[:, : plane.width * (2 if frame.format.components[0].bits > 8 else 1)]


def on_grid(stamped: Iterable[tuple[float, T]], *, rate: Fraction, total: int) -> Iterator[tuple[int, T]]:
    """Exactly `total` (index, item) pairs: each index shows the item nearest to its instant; pure.

    An item is shown from the grid point nearest to its time until the next item's. Items that share a grid point yield
    to the last of them; before the first item and after the last, the picture stands.
    """
    held: T | None = None
    following = 0
    for at_s, item in stamped:
        place = round(at_s * rate)
        if held is not None:
            for index in range(following, min(place, total)):
                yield index, held
            following = max(following, min(place, total))
        held = item
        if following >= total:
            return
    if held is not None:
        for index in range(following, total):
            yield index, held
