"""Reads what was packaged with parsers that are not ours (m3u8, FFmpeg through PyAV) and checks the promises."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import m3u8
import numpy as np

from foundation.wire.media import Rendition


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A segment of a media playlist."""

    seconds: float
    offset: int
    size: int


def entries(playlist: Path) -> list[Entry]:
    found = []
    for segment in m3u8.loads(playlist.read_text()).segments:
        size, offset = (int(part) for part in segment.byterange.split("@"))
        found.append(Entry(seconds=segment.duration, offset=offset, size=size))
    return found


def check_names_only_final_bytes(out_dir: Path) -> None:
    """Every byte that a playlist in the folder names is there, now."""
    for playlist in out_dir.glob("*.m3u8"):
        parsed = m3u8.loads(playlist.read_text())
        for variant in [*parsed.playlists, *parsed.iframe_playlists]:
            assert (out_dir / variant.uri).is_file(), variant.uri
        for segment, entry in zip(parsed.segments, entries(playlist) if parsed.segments else [], strict=True):
            assert (out_dir / segment.uri).stat().st_size >= entry.offset + entry.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A rung as FFmpeg decodes it."""

    keys_s: list[float]
    frames: int
    first_picture_s: float
    first_sound_s: float | None
    width: int
    height: int
    seconds: float


def measure(path: Path | io.BytesIO) -> Measured:
    with av.open(path if isinstance(path, io.BytesIO) else str(path)) as container:
        video = container.streams.video[0]
        sound = container.streams.audio[0] if container.streams.audio else None
        keys, pictures, sounds = [], [], []
        width = height = 0
        for packet in container.demux():
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    at_s = float(frame.pts * frame.time_base)
                    pictures.append(at_s)
                    width, height = frame.width, frame.height
                    if frame.key_frame:
                        keys.append(at_s)
                elif sound is not None:
                    sounds.append(float(frame.pts * frame.time_base))
        rate = video.average_rate
        return Measured(
            keys_s=keys,
            frames=len(pictures),
            first_picture_s=min(pictures),
            first_sound_s=min(sounds) if sounds else None,
            width=width,
            height=height,
            seconds=max(pictures) - min(pictures) + float(1 / rate if rate else Fraction(0)),
        )


def check_rung(out_dir: Path, rendition: Rendition, *, has_audio: bool) -> Measured:
    """The promises every rung keeps; returns what was measured for further checks."""
    path = out_dir / f"{rendition.name}.mp4"
    data = path.read_bytes()
    assert len(data) == rendition.size_bytes
    listed = entries(out_dir / f"{rendition.name}.m3u8")
    measured = measure(path)
    assert (measured.width, measured.height) == (rendition.width, rendition.height)
    assert measured.first_picture_s == 0
    assert (measured.first_sound_s == 0) if has_audio else (measured.first_sound_s is None)
    starts = [0.0, *np.cumsum([entry.seconds for entry in listed])]
    for start in starts[:-1]:  # every segment begins with a key picture at its own time
        assert any(abs(start - key) <= 0.001 for key in measured.keys_s), (start, measured.keys_s)
    assert abs(starts[-1] - measured.seconds) <= 0.001
    assert listed[0].offset + listed[0].size == rendition.prefix_bytes
    assert listed[-1].offset + listed[-1].size == len(data)
    _check_prefix_plays(data, rendition, listed)
    peak = max(entry.size * 8 / entry.seconds for entry in listed)
    assert abs(rendition.bandwidth_bps / peak - 1) < 0.02
    return measured


def _check_prefix_plays(data: bytes, rendition: Rendition, listed: list[Entry]) -> None:
    """Init section + any one segment decode by themselves to that segment's pictures."""
    init = data[: rendition.init_bytes]
    for entry in (listed[0], listed[-1]):
        alone = measure(io.BytesIO(init + data[entry.offset : entry.offset + entry.size]))
        assert alone.frames == round(entry.seconds * rendition.frame_rate)
