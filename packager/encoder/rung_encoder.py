"""One rung: H.264 pictures in, fragments on disk. Runs in a thread of its own; codec calls release the GIL."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from packager.encoder.halt import Halt, start_thread, waited
from packager.ladder import Rung
from packager.mp4.avc import avcc, length_prefixed
from packager.mp4.fragment import Run, Sample, fragment
from packager.mp4.init_segment import Colour, VideoTrack, init_segment
from packager.mp4.rung_file import RungFile, RungLayout
from packager.sound.aac import FRAME_SAMPLES, AacSound
from packager.sound.soundtrack import Soundtrack

if TYPE_CHECKING:
    from av import VideoStream
    from av.packet import Packet
    from av.video.frame import VideoFrame

QUEUE_FRAMES = 4
BUFFER_S = 1.0
"""VBV buffer in seconds at the ceiling: a 2 s fragment can exceed the ceiling by at most half of it."""
_WAIT_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RungJob:
    rung: Rung
    colour: Colour
    sound: Future[Soundtrack]
    """Made beside the first pictures; fragments wait for it in memory."""
    out_dir: Path
    threads: int
    assembly: str
    """x264's `asm`: encoder/assembly.py."""
    grown: Callable[[int, int], None]


class RungEncoder:
    """Owns one encoder, one file and one thread. `put` every frame of the rung in order, then `finish`."""

    def __init__(self, job: RungJob, halt: Halt) -> None:
        """Raises NoThread."""
        self._job = job
        self._halt = halt
        self._frames: queue.Queue[tuple[int, VideoFrame] | None] = queue.Queue(QUEUE_FRAMES)
        self._layout: RungLayout | None = None
        self.avcc = b""
        """The decoder configuration, once the encoder is open."""
        self._thread = start_thread(f"encode-{job.rung.name}", self._run)

    @property
    def rung(self) -> Rung:
        return self._job.rung

    def put(self, index: int, frame: VideoFrame) -> None:
        """Hand over frame `index` of the rung's grid. Waits while the queue is full."""
        self._put((index, frame))

    def end(self) -> None:
        """No more frames come."""
        self._put(None)

    def finish(self) -> RungLayout:
        """Wait for the end of the file, after `end`. Raises what went wrong in the job."""
        self._thread.join()
        self._halt.check()
        assert self._layout is not None
        return self._layout

    def _put(self, item: tuple[int, VideoFrame] | None) -> None:
        while True:
            self._halt.check()
            try:
                self._frames.put(item, timeout=_WAIT_S)
                return
            except queue.Full:
                continue

    def _run(self) -> None:
        try:
            self._layout = self._encode()
        except BaseException as err:  # raised again by the thread that feeds us
            self._halt.because(err)

    def _encode(self) -> RungLayout:
        job = self._job
        encoder = h264_encoder(job.rung, job.colour, threads=job.threads, assembly=job.assembly)
        extradata = encoder.extradata
        assert extradata is not None
        self.avcc = avcc(bytes(extradata))
        assembler = _Assembler(job, self.avcc, self._halt)
        cuts = set(job.rung.cuts)
        try:
            while (item := self._next()) is not None:
                index, frame = item
                frame.pts = index
                frame.time_base = 1 / job.rung.frame_rate
                # Left as decoded, x264 would copy the source's frame types; forced, every cut is an IDR.
                frame.pict_type = PictureType.I if index in cuts else PictureType.NONE
                for packet in encoder.encode(frame):
                    assembler.add(packet)
            for packet in encoder.encode(None):
                assembler.add(packet)
            return assembler.finish()
        finally:
            assembler.abandon()

    def _next(self) -> tuple[int, VideoFrame] | None:
        while True:
            self._halt.check()
            try:
                return self._frames.get(timeout=_WAIT_S)
            except queue.Empty:
                continue


def h264_encoder(rung: Rung, colour: Colour, *, threads: int, assembly: str) -> VideoCodecContext:
    """x264 in capped CRF: quality sets the rate until the ceiling does (VBV). Cuts are forced, scene cuts unused."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = rung.width, rung.height, "yuv420p"
    encoder.framerate = rung.frame_rate
    encoder.time_base = 1 / rung.frame_rate
    encoder.sample_aspect_ratio = Fraction(1)
    encoder.color_primaries, encoder.color_trc, encoder.colorspace = colour.primaries, colour.transfer, colour.matrix
    encoder.color_range = 1
    encoder.flags |= Flags.global_header | Flags.closed_gop
    # PyAV asks for slice threads unless told otherwise: x264 then cuts pictures up, for 5 % more bits at less quality.
    encoder.thread_type = "FRAME"
    keyint = max(b - a for a, b in zip(rung.cuts, (*rung.cuts[1:], rung.total_frames), strict=True))
    encoder.options = {
        "preset": rung.preset,
        "profile": "high",
        "crf": f"{rung.crf}",
        "maxrate": str(rung.ceiling_bps),
        "bufsize": str(int(rung.ceiling_bps * BUFFER_S)),
        "forced-idr": "1",
        "a53cc": "0",  # no captions of the source: no playlist declares them, edits and a new rate put them out of step
        "threads": str(threads),
        "x264-params": (
            f"keyint={keyint + 1}:min-keyint=1:scenecut=0:open-gop=0:rc-lookahead=20:vbv-init=0.6:asm={assembly}"
        ),
    }
    encoder.open()
    return encoder


class _Assembler:
    """Collects packets in decoding order and cuts a fragment whenever the next key picture arrives.

    Fragments made before the sound is there wait in memory: that is the first second or two of work, a few of them.
    """

    def __init__(self, job: RungJob, record: bytes, halt: Halt) -> None:
        rate = job.rung.frame_rate
        self._job = job
        self._record = record
        self._halt = halt
        self._timescale, self._frame_ticks = rate.numerator, rate.denominator
        self._file: RungFile | None = None
        self._delay = 0
        self._samples: list[Sample] = []
        self._waiting: list[Run] = []
        self._decoded = 0
        self._first = 0
        self._sound_at = 0
        self._made = 0

    def add(self, packet: Packet[VideoStream]) -> None:
        assert packet.pts is not None
        assert packet.dts is not None
        if not self._decoded:
            self._delay = packet.pts - packet.dts
        if packet.is_keyframe and self._samples:
            self._cut()
            if self._job.sound.done():
                self._write(self._job.sound.result().aac, last=False)
        offset = (packet.pts + self._delay - self._decoded) * self._frame_ticks
        self._samples.append(Sample(data=length_prefixed(bytes(packet)), offset=offset))
        self._decoded += 1

    def finish(self) -> RungLayout:
        self._cut()
        self._write(waited(self._job.sound, self._halt).aac, last=True)
        assert self._file is not None
        return self._file.finish()

    def abandon(self) -> None:
        if self._file is not None:
            self._file.abandon()

    def _cut(self) -> None:
        start = self._first * self._frame_ticks
        self._waiting.append(Run(start=start, duration=self._frame_ticks, samples=self._samples))
        self._samples, self._first = [], self._decoded

    def _write(self, sound: AacSound | None, *, last: bool) -> None:
        """Write the fragments that wait; `last`: the file's last one is among them."""
        if self._file is None:
            self._file = self._open(sound)
        waiting, self._waiting = self._waiting, []
        for place, run in enumerate(waiting, 1):
            self._made += 1
            until = run.start + len(run.samples) * self._frame_ticks
            made = fragment(self._made, run, self._sound_until(sound, until, last=last and place == len(waiting)))
            self._file.append(made, ticks=len(run.samples) * self._frame_ticks)

    def _open(self, sound: AacSound | None) -> RungFile:
        rung = self._job.rung
        track = VideoTrack(
            width=rung.width,
            height=rung.height,
            timescale=self._timescale,
            avcc=self._record,
            colour=self._job.colour,
            delay_ticks=self._delay * self._frame_ticks,
        )
        duration_ms = round(rung.total_frames * 1000 / rung.frame_rate)
        return RungFile(
            self._job.out_dir / f"{rung.name}.mp4",
            init=init_segment(track, sound.track if sound else None, duration_ms=duration_ms),
            timescale=self._timescale,
            fragments=len(rung.cuts),
            grown=self._job.grown,
        )

    def _sound_until(self, sound: AacSound | None, ticks: int, *, last: bool) -> Run | None:
        """AAC frames that begin before the picture at `ticks`: sound belongs to the fragment in which it starts."""
        if sound is None:
            return None
        until = Fraction(ticks, self._timescale) * sound.track.sample_rate / FRAME_SAMPLES
        end = len(sound.frames) if last else min(len(sound.frames), -int(-until // 1))
        run = Run(
            start=self._sound_at * FRAME_SAMPLES,
            duration=FRAME_SAMPLES,
            samples=[Sample(data=data) for data in sound.frames[self._sound_at : end]],
        )
        self._sound_at = end
        return run
