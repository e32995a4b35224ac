"""A sound for the library inside the child: measured, levelled, written as AAC that any browser plays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av

from packager.encoder.session import Emit
from packager.encoder.source import open_sound
from packager.errors import Refusal, RefusedInput
from packager.events import FileReady, Progress, SoundPrepared
from packager.limits import Limits
from packager.sound.aac import levelled
from packager.sound.chain import RATE, Stereo, as_frame, sound_file_blocks
from packager.sound.fingerprint import fingerprint
from packager.sound.loudness import gain_db
from packager.sound.measure import measure

SOUND_FILE = "sound.m4a"
SOUND_TYPE = "audio/mp4"
_BIT_RATE = 192_000
"""Above the rungs' 128k: a sound is decoded and encoded once more under every clip that uses it."""


class SoundSession:
    """Prepares one sound file. `run` blocks until it is done; raises RefusedInput or lets errors through."""

    def __init__(self, descriptor: int, out_dir: Path, *, limits: Limits, emit: Emit) -> None:
        self._descriptor = descriptor
        self._out = out_dir
        self._limits = limits
        self._emit = emit

    def run(self) -> None:
        self._check_announced()
        counted = _Counted(self._blocks())
        measured = measure(counted)
        duration_s = counted.samples / RATE
        self._check(duration_s)
        self._emit(Progress(stage="sound", fraction=0.5))
        part = self._out / f"{SOUND_FILE}.part"
        _write(part, levelled(self._blocks(), gain_db(measured.loudness)))
        part.replace(self._out / SOUND_FILE)
        size = (self._out / SOUND_FILE).stat().st_size
        self._emit(FileReady(name=SOUND_FILE, size_bytes=size, content_type=SOUND_TYPE))
        self._emit(
            SoundPrepared(
                name=SOUND_FILE,
                size_bytes=size,
                duration_ms=round(duration_s * 1000),
                loudness_lufs=measured.loudness.integrated_lufs,
                fingerprint=fingerprint(measured.fingerprint_pcm),
            )
        )

    def _blocks(self) -> Iterator[Stereo]:
        """At most a second more than is allowed: what is longer shows, and costs no more than that."""
        return sound_file_blocks(self._descriptor, at_most_s=self._limits.max_duration_s + 1)

    def _check_announced(self) -> None:
        """What the container says of its length: a long file is refused before it is decoded."""
        with open_sound(self._descriptor) as container:
            announced_s = (container.duration or 0) / av.time_base
        if announced_s > self._limits.max_duration_s + 1:
            self._check(announced_s)

    def _check(self, duration_s: float) -> None:
        if duration_s > self._limits.max_duration_s:
            raise RefusedInput(
                Refusal.TOO_LONG, f"A sound may last {self._limits.max_duration_s:.0f} s at most, this one is longer."
            )
        if duration_s < self._limits.min_duration_s:
            raise RefusedInput(Refusal.DAMAGED, "The file holds no sound that can be decoded.")


class _Counted:
    """Blocks with the number of samples that have passed."""

    def __init__(self, blocks: Iterator[Stereo]) -> None:
        self._blocks = blocks
        self.samples = 0

    def __iter__(self) -> Iterator[Stereo]:
        for block in self._blocks:
            self.samples += block.shape[1]
            yield block


def _write(path: Path, blocks: Iterator[Stereo]) -> None:
    """AAC in MP4 with its index in front. The muxer notes the encoder's delay, so sample 0 plays at 0."""
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("aac", rate=RATE)
        stream.bit_rate, stream.layout = _BIT_RATE, "stereo"
        at_sample = 0
        for block in blocks:
            container.mux(stream.encode(as_frame(block, at_sample)))
            at_sample += block.shape[1]
        container.mux(stream.encode(None))
