"""Decoded sound of one track as 48 kHz stereo on the result's clock: trimmed, sped up, padded to an exact length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from packager.edits import Window
from packager.encoder.source import audio_stream, decoded_sound, open_known, open_sound

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

RATE = 48_000
BLOCK_SAMPLES = 8192
"""Codecs give some 1000 samples at a time; what is done to a block costs Python the same however long it is."""
Stereo = NDArray[np.float32]
"""(2, n) float32, full scale 1.0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundTrack:
    """A track to read: descriptor of its file, stream index, the instant that is zero, and the part used."""

    descriptor: int
    index: int
    origin_s: float
    window: Window
    sound_file: bool = False
    """A file of the sound library (MP3, WAV ...) rather than a video."""


def stereo_blocks(track: SoundTrack, *, total_samples: int) -> Iterator[Stereo]:
    """The track's sound in blocks, exactly `total_samples` in all (cut, or filled with silence). CPU-bound."""
    left = total_samples
    for block in _shaped(track):
        block = block[:, :left]
        left -= block.shape[1]
        if block.shape[1]:
            yield block
        if left == 0:
            return
    while left > 0:
        count = min(left, RATE)
        yield np.zeros((2, count), np.float32)
        left -= count


def overlay_blocks(descriptor: int, *, start_s: float, total_samples: int) -> Iterator[Stereo]:
    """A sound file from `start_s` on, silence after its end, exactly `total_samples`. Raises RefusedInput."""
    window = Window(start_s=start_s, end_s=start_s + total_samples / RATE, speed=1.0)
    return stereo_blocks(_file_track(descriptor, window), total_samples=total_samples)


def sound_file_blocks(descriptor: int, *, at_most_s: float) -> Iterator[Stereo]:
    """A whole sound file as long as it is, cut at `at_most_s`. Raises RefusedInput. CPU-bound."""
    left = round(at_most_s * RATE)
    for block in _shaped(_file_track(descriptor, Window(start_s=0.0, end_s=at_most_s, speed=1.0))):
        yield block
        left -= block.shape[1]
        if left <= 0:  # what follows would be decoded only to be thrown away
            return


def _file_track(descriptor: int, window: Window) -> SoundTrack:
    """The first track of a sound file, from its own first sample on."""
    with open_sound(descriptor) as container:
        stream = container.streams.audio[0]
        index, zero = stream.index, stream.start_time or 0
        origin_s = float(zero * (stream.time_base or 0))
    return SoundTrack(descriptor=descriptor, index=index, origin_s=origin_s, window=window, sound_file=True)


def _shaped(track: SoundTrack) -> Iterator[Stereo]:
    window = track.window
    steps: list[tuple[str, str]] = [
        # Fills gaps and drops overlaps by timestamp, so that sound stays with the picture.
        ("aresample", "async=1000:min_hard_comp=0.05:first_pts=0"),
        ("atrim", f"start={window.start_s:.6f}:end={window.end_s:.6f}"),
        ("asetpts", "PTS-STARTPTS"),
    ]
    if window.speed != 1.0:
        steps.append(("atempo", f"{window.speed:.6f}"))
    steps.append(("aformat", f"sample_fmts=fltp:sample_rates={RATE}:channel_layouts=stereo"))
    steps.append(("asetnsamples", f"nb_out_samples={BLOCK_SAMPLES}:pad=0"))
    graph = sound_graph(steps)
    for frame in _resampled(track):
        graph.push(frame)
        yield from pulled(graph)
    graph.push(None)
    yield from pulled(graph)


def sound_graph(steps: list[tuple[str, str]]) -> Graph:
    """abuffer (48 kHz stereo float planar) -> steps -> sink."""
    graph = Graph()
    nodes = [graph.add_abuffer(sample_rate=RATE, format="fltp", layout="stereo", time_base=Fraction(1, RATE))]
    nodes += [graph.add(name, args) for name, args in steps]
    nodes.append(graph.add("abuffersink"))
    graph.link_nodes(*nodes).configure()
    return graph


def pulled_frames(graph: Graph) -> Iterator[AudioFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, av.AudioFrame)
        yield frame


def pulled(graph: Graph) -> Iterator[Stereo]:
    for frame in pulled_frames(graph):
        yield frame.to_ndarray().astype(np.float32, copy=False)


def _resampled(track: SoundTrack) -> Iterator[AudioFrame]:
    """Frames as 48 kHz stereo, stamped from the origin. A change of format in mid-stream gets a new resampler."""
    opened = open_sound if track.sound_file else open_known
    with opened(track.descriptor) as container:
        stream = audio_stream(container, track.index)
        resampler: av.AudioResampler | None = None
        shape: tuple[str, str, int] | None = None
        for frame in decoded_sound(container, stream):
            if frame.pts is None or frame.time_base is None:
                continue
            now = (frame.format.name, frame.layout.name, frame.sample_rate)
            if now != shape:
                resampler, shape = av.AudioResampler(format="fltp", layout="stereo", rate=RATE), now
            assert resampler is not None
            frame.pts = round((frame.pts * frame.time_base - Fraction(track.origin_s)) * frame.sample_rate)
            frame.time_base = Fraction(1, frame.sample_rate)
            yield from resampler.resample(frame)


def as_frame(block: Stereo, at_sample: int) -> AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout="stereo")
    frame.sample_rate = RATE
    frame.time_base = Fraction(1, RATE)
    frame.pts = at_sample
    return frame
