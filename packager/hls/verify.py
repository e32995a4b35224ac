"""Playlists read back by an independent parser (the m3u8 library) and compared with the bytes they name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from foundation.wire.media import Rendition
from packager.errors import PackagingFailed
from packager.mp4.rung_file import RungLayout

if TYPE_CHECKING:
    import m3u8

EXTINF_TOLERANCE_S = 0.001


def verify_media(text: str, layout: RungLayout, name: str) -> None:
    """Every entry lies inside the file, in order, without gaps or overlaps that the layout does not have."""
    playlist = _read_back(text)
    _expect(len(playlist.segments) == len(layout.places), name, "number of segments")
    _expect(bool(playlist.is_endlist), name, "end of list")
    for segment, place in zip(playlist.segments, layout.places, strict=True):
        size, offset = (int(part) for part in segment.byterange.split("@"))
        _expect(offset == place.offset and size in (place.size, place.key_bytes), name, "byte range")
        _expect(offset + size <= layout.size_bytes, name, "byte range beyond the file")
        _expect(abs(segment.duration - float(layout.seconds(place))) < EXTINF_TOLERANCE_S, name, "duration")
        _expect(round(segment.duration) <= playlist.target_duration, name, "target duration")
        _expect(segment.init_section is not None and segment.init_section.uri == f"{name}.mp4", name, "map")


def verify_master(text: str, out_dir: Path, renditions: Sequence[Rendition]) -> None:
    """The master names exactly these renditions and every file it names is there."""
    playlist = _read_back(text)
    _expect(len(playlist.playlists) == len(renditions), "master", "number of variants")
    for variant, rendition in zip(playlist.playlists, renditions, strict=True):
        _expect(variant.uri == f"{rendition.name}.m3u8", "master", "order of variants")
        _expect(variant.stream_info.codecs == rendition.codecs, "master", "codecs")
        for file in (variant.uri, f"{rendition.name}-iframes.m3u8", f"{rendition.name}.mp4"):
            _expect((out_dir / file).is_file(), "master", f"file {file}")


def _read_back(text: str) -> m3u8.M3U8:
    import m3u8  # here, beside the encoders: it brings an HTTP client and TLS along, 50 ms nobody should wait for

    return m3u8.loads(text)


def _expect(holds: bool, name: str, what: str) -> None:
    if not holds:
        raise PackagingFailed("internal", f"playlist {name}: {what} is wrong after reading it back")
