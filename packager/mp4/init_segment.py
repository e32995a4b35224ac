"""The initialization section: ftyp + moov of a fragmented file with one H.264 and at most one AAC track.

Time zero. Pictures are reordered, so the first one is presented `delay_ticks` after it is decoded; the video track has
one edit that takes this delay off again, the form that Chromium's MSE and FFmpeg's demuxer both document and apply.
(Negative composition offsets would do without an edit, but FFmpeg, and so Chromium playing the file progressively,
then shows the picture late against the sound.) Sound needs no edit: the encoder's priming takes the place of the
first 21 ms, see packager/sound/aac.py.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from packager.mp4.avc import avcc_box, esds
from packager.mp4.boxes import box, full_box

VIDEO_TRACK, AUDIO_TRACK = 1, 2
MOVIE_TIMESCALE = 1000
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_FTYP = box(b"ftyp", b"iso6", struct.pack(">I", 512), b"iso6iso5mp41avc1")
_EMPTY_TABLES = (
    full_box(b"stts", 0, 0, struct.pack(">I", 0))
    + full_box(b"stsc", 0, 0, struct.pack(">I", 0))
    + full_box(b"stsz", 0, 0, struct.pack(">II", 0, 0))
    + full_box(b"stco", 0, 0, struct.pack(">I", 0))
)
_DREF = box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """ISO/IEC 23091-2 code points and range, as in the SPS."""

    primaries: int
    transfer: int
    matrix: int
    full_range: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTrack:
    width: int
    height: int
    timescale: int
    avcc: bytes
    colour: Colour
    delay_ticks: int = 0
    """Presentation of the first picture after its decoding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTrack:
    sample_rate: int
    channels: int
    config: bytes
    """AudioSpecificConfig."""
    bit_rate: int


def init_segment(video: VideoTrack, audio: AudioTrack | None, *, duration_ms: int) -> bytes:
    """ftyp + moov; `duration_ms` goes to mehd, so that progressive players know the length at once."""
    tracks = [_video_trak(video)] + ([_audio_trak(audio)] if audio else [])
    ids = [VIDEO_TRACK] + ([AUDIO_TRACK] if audio else [])
    mehd = full_box(b"mehd", 1, 0, struct.pack(">Q", duration_ms))
    trex = [full_box(b"trex", 0, 0, struct.pack(">5I", track, 1, 0, 0, 0)) for track in ids]
    mvhd = full_box(
        b"mvhd",
        0,
        0,
        struct.pack(">4I", 0, 0, MOVIE_TIMESCALE, 0),
        struct.pack(">IH10x", 0x10000, 0x0100),
        _MATRIX,
        struct.pack(">24xI", len(ids) + 1),
    )
    return _FTYP + box(b"moov", mvhd, *tracks, box(b"mvex", mehd, *trex))


def _video_trak(track: VideoTrack) -> bytes:
    colour = track.colour
    entry = box(
        b"avc1",
        struct.pack(">6xH16xHHII4xH", 1, track.width, track.height, 0x480000, 0x480000, 1),
        bytes(32),
        struct.pack(">Hh", 24, -1),
        avcc_box(track.avcc),
        box(
            b"colr",
            b"nclx",
            struct.pack(">HHHB", colour.primaries, colour.transfer, colour.matrix, 0x80 if colour.full_range else 0),
        ),
        box(b"pasp", struct.pack(">II", 1, 1)),
    )
    header = full_box(b"vmhd", 0, 1, bytes(8))
    edit = box(b"edts", full_box(b"elst", 0, 0, struct.pack(">IIiHH", 1, 0, track.delay_ticks, 1, 0)))
    size = (track.width, track.height)
    return _trak(VIDEO_TRACK, track.timescale, b"vide", header, entry, size, edit if track.delay_ticks else b"")


def _audio_trak(track: AudioTrack) -> bytes:
    entry = box(
        b"mp4a",
        struct.pack(">6xH8xHH4xI", 1, track.channels, 16, track.sample_rate << 16),
        esds(track.config, bit_rate=track.bit_rate),
    )
    header = full_box(b"smhd", 0, 0, bytes(4))
    return _trak(AUDIO_TRACK, track.sample_rate, b"soun", header, entry, None)


def _trak(
    track_id: int,
    timescale: int,
    handler: bytes,
    header: bytes,
    entry: bytes,
    size: tuple[int, int] | None,
    edit: bytes = b"",
) -> bytes:
    width, height = size or (0, 0)
    tkhd = full_box(
        b"tkhd",
        0,
        3,  # enabled, in movie
        struct.pack(">5I8x", 0, 0, track_id, 0, 0),
        struct.pack(">HHHH", 0, 0, 0 if size else 0x0100, 0),
        _MATRIX,
        struct.pack(">II", width << 16, height << 16),
    )
    mdhd = full_box(b"mdhd", 0, 0, struct.pack(">4IHH", 0, 0, timescale, 0, 0x55C4, 0))  # language "und"
    hdlr = full_box(b"hdlr", 0, 0, bytes(4), handler, bytes(12), b"popreel\x00")
    stsd = full_box(b"stsd", 0, 0, struct.pack(">I", 1), entry)
    minf = box(b"minf", header, _DREF, box(b"stbl", stsd, _EMPTY_TABLES))
    return box(b"trak", tkhd, edit, box(b"mdia", mdhd, hdlr, minf))
