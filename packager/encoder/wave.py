"""A wave: one pass over the pictures that feeds several rungs at once, each encoded in its own thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import av
from av.video.reformatter import Interpolation, VideoReformatter

from packager.encoder.halt import Halt
from packager.encoder.rung_encoder import RungEncoder, RungJob
from packager.encoder.shape import Shaper, ShapeSpec
from packager.ladder import Rung
from packager.mp4.rung_file import RungLayout

Tap = Callable[[int, av.VideoFrame, av.VideoFrame], None]
"""Called for each picture of the grid with (index, decoded picture, shaped picture of the largest rung)."""


def run_wave(
    pictures: Iterator[tuple[int, av.VideoFrame]],
    jobs: Sequence[RungJob],
    spec: ShapeSpec,
    halt: Halt,
    *,
    tap: Tap | None = None,
    interpolation: Interpolation = Interpolation.BICUBIC,
) -> Iterator[tuple[Rung, RungLayout, bytes]]:
    """Encode `jobs` (lowest first) from one pass over `pictures`. Yields (rung, layout, avcC)
    of each as it is final, in order.

    The largest rung is scaled from the decoded picture (`interpolation` is for that step), each smaller one from its
    neighbour above: a cascade touches a third of the pixels that scaling every rung from the source would. A failure
    anywhere in the job ends the wave with its first cause.
    """
    encoders = [RungEncoder(job, halt) for job in jobs]
    top = jobs[-1].rung
    shaper = Shaper(spec, top.width, top.height, interpolation=interpolation)
    cascade = _Cascade(encoders)
    try:
        for index, picture in pictures:
            shaped = shaper.shape(picture)
            if tap is not None:
                tap(index, picture, shaped)
            cascade.feed(index, shaped)
        for encoder in encoders:
            encoder.end()
        for encoder in encoders:
            yield encoder.rung, encoder.finish(), encoder.avcc
    except BaseException as err:
        halt.because(err)
        raise


class _Cascade:
    """Hands each rung its pictures, scaled down step by step from the largest."""

    def __init__(self, encoders: Sequence[RungEncoder]) -> None:
        self._down = [(encoder, VideoReformatter()) for encoder in reversed(encoders)]
        self._last: av.VideoFrame | None = None
        self._scaled: dict[str, av.VideoFrame] = {}

    def feed(self, index: int, shaped: av.VideoFrame) -> None:
        if shaped is not self._last:
            self._scaled, self._last = {}, shaped
        ready: list[tuple[RungEncoder, int, av.VideoFrame]] = []
        picture = shaped
        for encoder, scaler in self._down:
            rung = encoder.rung
            if index % rung.decimate:
                continue
            if rung.name not in self._scaled:
                self._scaled[rung.name] = _resize(scaler, picture, rung.width, rung.height)
            picture = self._scaled[rung.name]
            ready.append((encoder, index // rung.decimate, picture))
        # All sizes are made before any is handed over: encoding sets fields of the picture it is given.
        for encoder, place, made in reversed(ready):
            encoder.put(place, made)


def _resize(scaler: VideoReformatter, picture: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    return scaler.reformat(picture, width, height, "yuv420p", interpolation=Interpolation.BICUBIC, threads=1)
