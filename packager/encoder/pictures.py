"""Decoded pictures on the result's clock: a constant frame rate out of whatever timestamps the source has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeVar

import av

from packager.edits import Window
from packager.encoder.source import decoded_pictures, open_source, video_stream
from packager.encoder.survey import Survey

T = TypeVar("T")


def stamped_pictures(
    descriptor: int, seen: Survey, window: Window, *, threads: int
) -> Iterator[tuple[float, av.VideoFrame]]:
    """(seconds on the result's clock, picture) from a little before the window to its end, times rising."""
    with open_source(descriptor) as container:
        stream = video_stream(container, seen.video_index)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        latest = float("-inf")
        for frame in decoded_pictures(container, stream):
            if frame.pts is None or frame.time_base is None:
                continue
            at_s = float(frame.pts * frame.time_base) - seen.origin_s
            if at_s <= latest:
                continue
            latest = at_s
            if at_s >= window.end_s:
                return
            yield (at_s - window.start_s) / window.speed, frame


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
