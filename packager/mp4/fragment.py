"""Media fragments: moof + mdat, and the sidx that lists them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from packager.mp4.boxes import box, full_box
from packager.mp4.init_segment import AUDIO_TRACK, VIDEO_TRACK

_DEFAULT_BASE_IS_MOOF = 0x020000
_KEY_FLAGS = 0x02000000  # depends on no other sample
_DELTA_FLAGS = 0x01010000  # depends on others, is not a sync sample
_TRUN_OFFSET, _TRUN_FIRST_FLAGS, _TRUN_SIZE, _TRUN_CTS = 0x1, 0x4, 0x200, 0x800


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One coded picture (in decoding order) or AAC frame. `offset`: presentation minus decoding time, in ticks."""

    data: bytes
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Consecutive samples of a track, all of `duration` ticks, the first decoded at `start` ticks."""

    start: int
    duration: int
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """Bytes of one moof + mdat; `key_bytes` of them, from 0, hold the moof and the first picture."""

    data: bytes
    key_bytes: int


def fragment(sequence: int, video: Run, audio: Run | None) -> Fragment:
    """Build a fragment that begins with an IDR picture. Pictures come first in the mdat, then sound."""
    video_bytes = sum(len(sample.data) for sample in video.samples)
    runs = [(VIDEO_TRACK, video, 0)]
    if audio is not None and audio.samples:
        runs.append((AUDIO_TRACK, audio, video_bytes))
    size = len(_moof(sequence, runs, 0))
    moof = _moof(sequence, runs, size + 8)
    payload = b"".join(sample.data for _, run, _ in runs for sample in run.samples)
    return Fragment(data=moof + box(b"mdat", payload), key_bytes=size + 8 + len(video.samples[0].data))


def _moof(sequence: int, runs: Sequence[tuple[int, Run, int]], data_start: int) -> bytes:
    trafs = [_traf(track, run, data_start + offset) for track, run, offset in runs]
    return box(b"moof", full_box(b"mfhd", 0, 0, struct.pack(">I", sequence)), *trafs)


def _traf(track: int, run: Run, data_offset: int) -> bytes:
    is_video = track == VIDEO_TRACK
    default_flags = _DELTA_FLAGS if is_video else _KEY_FLAGS
    # default-sample-duration (0x8) and default-sample-flags (0x20)
    tfhd = full_box(b"tfhd", 0, _DEFAULT_BASE_IS_MOOF | 0x28, struct.pack(">III", track, run.duration, default_flags))
    tfdt = full_box(b"tfdt", 1, 0, struct.pack(">Q", run.start))
    flags = _TRUN_OFFSET | _TRUN_SIZE | ((_TRUN_FIRST_FLAGS | _TRUN_CTS) if is_video else 0)
    head = struct.pack(">Ii", len(run.samples), data_offset)
    if is_video:
        head += struct.pack(">I", _KEY_FLAGS)
        table = b"".join(struct.pack(">Ii", len(sample.data), sample.offset) for sample in run.samples)
    else:
        table = b"".join(struct.pack(">I", len(sample.data)) for sample in run.samples)
    return box(b"traf", tfhd, tfdt, full_box(b"trun", 1, flags, head, table))


def sidx_bytes(entries: int) -> int:
    """Size of the sidx of so many fragments, known before the first is made."""
    return 40 + 12 * entries


def sidx(timescale: int, entries: Sequence[tuple[int, int]]) -> bytes:
    """Segment index (14496-12 section 8.16.3) for fragments that follow it at once: (size in bytes, ticks) each."""
    rows = b"".join(struct.pack(">III", size, ticks, 0x90000000) for size, ticks in entries)  # starts with SAP type 1
    return full_box(b"sidx", 1, 0, struct.pack(">IIQQHH", VIDEO_TRACK, timescale, 0, 0, 0, len(entries)), rows)
