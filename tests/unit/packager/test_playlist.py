from fractions import Fraction

import m3u8
import pytest

from foundation.wire.media import Rendition
from packager.errors import PackagingFailed
from packager.hls.playlist import (
    average_bps,
    iframe_playlist,
    master_playlist,
    media_playlist,
    peak_bps,
)
from packager.hls.verify import verify_media
from packager.mp4.rung_file import FragmentPlace, RungLayout


def layout_of(*fragments: tuple[int, int]) -> RungLayout:
    """A file of (bytes, ticks of 1/30 s) fragments after 100 bytes of head."""
    places, offset = [], 136
    for size, ticks in fragments:
        places.append(FragmentPlace(offset=offset, size=size, key_bytes=size // 3, ticks=ticks))
        offset += size
    return RungLayout(init_bytes=100, timescale=30, places=tuple(places), size_bytes=offset)


LAYOUT = layout_of((10_000, 30), (50_000, 60), (40_000, 60), (9_000, 20))


def test_a_media_playlist_addresses_the_file_by_byte_ranges() -> None:
    playlist = m3u8.loads(media_playlist("360p", LAYOUT))
    assert playlist.version == 7
    assert playlist.target_duration == 2
    assert playlist.playlist_type == "vod"
    assert playlist.is_endlist
    assert playlist.segment_map[0].byterange == "100@0"
    assert [segment.byterange for segment in playlist.segments][:2] == ["10000@136", "50000@10136"]
    assert [segment.duration for segment in playlist.segments] == [1.0, 2.0, 2.0, pytest.approx(2 / 3, abs=1e-6)]


def test_an_iframe_playlist_ends_each_range_after_the_first_picture() -> None:
    playlist = m3u8.loads(iframe_playlist("360p", LAYOUT))
    assert playlist.is_i_frames_only
    assert [segment.byterange for segment in playlist.segments][1] == "16666@10136"


def test_bandwidth_is_the_peak_over_half_to_one_and_a_half_target_durations() -> None:
    assert peak_bps(LAYOUT) == 50_000 * 8 / 2
    # A tail of a third of a second full of one key picture is no peak by itself, only with its neighbour.
    assert peak_bps(layout_of((10_000, 60), (10_000, 60), (9_000, 10))) == round(19_000 * 8 / Fraction(70, 30) + 0.5)


def test_a_clip_shorter_than_half_a_target_duration_has_its_average_as_peak() -> None:
    short = layout_of((1000, 10))
    assert peak_bps(short) == average_bps(short) == 24_000


def test_the_master_lists_the_lowest_rung_first_with_measured_figures() -> None:
    renditions = [
        Rendition(
            name=name,
            width=width,
            height=height,
            frame_rate=30000 / 1001,
            codecs="avc1.64001f,mp4a.40.2",
            bandwidth_bps=900_000,
            average_bandwidth_bps=700_000,
            size_bytes=1,
            init_bytes=1,
            prefix_bytes=1,
        )
        for name, width, height in (("360p", 640, 360), ("480p", 854, 480))
    ]
    playlist = m3u8.loads(master_playlist([(rendition, 50_000) for rendition in renditions]))
    assert [variant.uri for variant in playlist.playlists] == ["360p.m3u8", "480p.m3u8"]
    info = playlist.playlists[0].stream_info
    assert (info.bandwidth, info.average_bandwidth, info.resolution) == (900_000, 700_000, (640, 360))
    assert (info.codecs, info.frame_rate) == ("avc1.64001f,mp4a.40.2", 29.97)
    assert playlist.is_independent_segments
    assert [item.uri for item in playlist.iframe_playlists] == ["360p-iframes.m3u8", "480p-iframes.m3u8"]
    assert playlist.iframe_playlists[0].iframe_stream_info.codecs == "avc1.64001f"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("10000@136", "10000@137"),
        ("#EXTINF:2.000000", "#EXTINF:2.500000"),
        ("#EXT-X-ENDLIST\n", ""),
        ("9000@", "9001@"),
    ],
)
def test_a_playlist_that_does_not_fit_its_file_is_not_released(old: str, new: str) -> None:
    text = media_playlist("360p", LAYOUT)
    verify_media(text, LAYOUT, "360p")
    with pytest.raises(PackagingFailed):
        verify_media(text.replace(old, new, 1), LAYOUT, "360p")
