"""Render media, I-frame and multivariant playlists. Pure; every URI is a relative file name."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from foundation.wire.media import Rendition
from packager.mp4.rung_file import RungLayout

VERSION = 7
"""EXT-X-MAP outside I-frame playlists needs 6, fragmented MP4 7 (rfc8216bis section 8)."""


def media_playlist(name: str, layout: RungLayout) -> str:
    """VOD playlist of byte ranges of `{name}.mp4`."""
    lines = _head(layout)
    for place in layout.places:
        lines += [
            f"#EXTINF:{_seconds(layout.seconds(place))},",
            f"#EXT-X-BYTERANGE:{place.size}@{place.offset}",
            f"{name}.mp4",
        ]
    return _text(_with_map(lines, name, layout))


def iframe_playlist(name: str, layout: RungLayout) -> str:
    """One entry per fragment: its moof and first picture (RFC 8216 section 4.3.3.6), shown for the fragment's time."""
    lines = [*_head(layout), "#EXT-X-I-FRAMES-ONLY"]
    for place in layout.places:
        lines += [
            f"#EXTINF:{_seconds(layout.seconds(place))},",
            f"#EXT-X-BYTERANGE:{place.key_bytes}@{place.offset}",
            f"{name}.mp4",
        ]
    return _text(_with_map(lines, name, layout))


def master_playlist(renditions: Sequence[tuple[Rendition, int]]) -> str:
    """Multivariant playlist, lowest rung first; each rendition comes with its peak I-frame bit rate.

    STABLE-VARIANT-ID lets content steering and clients name a variant across reloads (rfc8216bis section 4.4.6.2).
    """
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for rendition, _ in renditions:
        lines += [f"#EXT-X-STREAM-INF:{_variant(rendition)}", f"{rendition.name}.m3u8"]
    for rendition, iframe_bps in renditions:
        video_codec = rendition.codecs.split(",")[0]
        lines.append(
            f"#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={iframe_bps},"
            f'CODECS="{video_codec}",RESOLUTION={rendition.width}x{rendition.height},'
            f'STABLE-VARIANT-ID="{rendition.name}-iframes",URI="{rendition.name}-iframes.m3u8"'
        )
    return _text(lines)


def _variant(rendition: Rendition) -> str:
    return ",".join(
        (
            f"BANDWIDTH={rendition.bandwidth_bps}",
            f"AVERAGE-BANDWIDTH={rendition.average_bandwidth_bps}",
            f'CODECS="{rendition.codecs}"',
            f"RESOLUTION={rendition.width}x{rendition.height}",
            f"FRAME-RATE={rendition.frame_rate:.3f}",
            "CLOSED-CAPTIONS=NONE",
            f'STABLE-VARIANT-ID="{rendition.name}"',
        )
    )


def peak_bps(layout: RungLayout) -> int:
    """Peak segment bit rate as RFC 8216 section 4.1 defines it: the largest over any contiguous segments that together
    last 0.5 to 1.5 target durations; over everything when the clip is shorter than that.
    """
    target = _target_duration(layout)
    peak = Fraction(0)
    for first in range(len(layout.places)):
        size, seconds = 0, Fraction(0)
        for place in layout.places[first:]:
            size += place.size
            seconds += layout.seconds(place)
            if seconds > target * Fraction(3, 2):
                break
            if seconds >= target * Fraction(1, 2):
                peak = max(peak, size * 8 / seconds)
    return -int(-(peak or average_bps(layout)) // 1)


def average_bps(layout: RungLayout) -> int:
    seconds = sum((layout.seconds(place) for place in layout.places), Fraction(0))
    return -int(-sum(place.size for place in layout.places) * 8 / seconds // 1)


def iframe_peak_bps(layout: RungLayout) -> int:
    return max(-int(-place.key_bytes * 8 / layout.seconds(place) // 1) for place in layout.places)


def _target_duration(layout: RungLayout) -> int:
    """Every EXTINF, rounded to the nearest integer, is at most this (section 4.3.3.1)."""
    return max(1, *(int(layout.seconds(place) + Fraction(1, 2)) for place in layout.places))


def _head(layout: RungLayout) -> list[str]:
    return [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{_target_duration(layout)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]


def _with_map(lines: list[str], name: str, layout: RungLayout) -> list[str]:
    first = next(index for index, line in enumerate(lines) if line.startswith("#EXTINF"))
    mapped = f'#EXT-X-MAP:URI="{name}.mp4",BYTERANGE="{layout.init_bytes}@0"'
    return [*lines[:first], mapped, *lines[first:], "#EXT-X-ENDLIST"]


def _seconds(value: Fraction) -> str:
    return f"{float(value):.6f}"


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
