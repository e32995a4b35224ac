import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packager.mp4.avc import aac_codec, avc_codec, avcc, length_prefixed, nal_units
from packager.mp4.boxes import Box, BoxError, box, find, walk
from packager.mp4.fragment import Run, Sample, fragment, sidx, sidx_bytes
from packager.mp4.init_segment import AudioTrack, Colour, VideoTrack, init_segment
from packager.mp4.rung_file import RungFile

SPS, PPS = b"\x67\x64\x00\x1f\xac\xd9", b"\x68\xeb\xe3\xcb"
RECORD = avcc(b"\x00\x00\x00\x01" + SPS + b"\x00\x00\x01" + PPS)
VIDEO = VideoTrack(
    width=640,
    height=360,
    timescale=30,
    avcc=RECORD,
    colour=Colour(primaries=1, transfer=1, matrix=1),
    delay_ticks=2,
)
AUDIO = AudioTrack(sample_rate=48_000, channels=2, config=b"\x11\x90", bit_rate=128_000)


def _field(data: bytes, path: str, layout: str, offset: int = 4) -> tuple[int, ...]:
    place = find(data, path)
    assert place is not None, path
    return struct.unpack_from(layout, data, place.body + offset)


def test_the_codec_names_come_from_the_bitstream() -> None:
    assert avc_codec(RECORD) == "avc1.64001f"
    assert aac_codec(AUDIO.config) == "mp4a.40.2"


def test_nal_units_are_split_at_short_and_long_start_codes() -> None:
    stream = b"\x00\x00\x00\x01\x67a\x00\x00\x01\x68b\x00\x00\x00\x01\x65c"
    assert list(nal_units(stream)) == [b"\x67a", b"\x68b", b"\x65c"]
    assert length_prefixed(stream) == b"\x00\x00\x00\x02\x65c"


def test_an_encoder_without_parameter_sets_is_an_error() -> None:
    with pytest.raises(ValueError, match="parameter sets"):
        avcc(b"\x00\x00\x01\x65abc")


def test_the_initialization_section_has_both_tracks_the_duration_and_one_edit() -> None:
    data = init_segment(VIDEO, AUDIO, duration_ms=15_000)
    assert [top.kind for top in walk(data)] == [b"ftyp", b"moov"]
    assert _field(data, "moov/mvex/mehd", ">Q") == (15_000,)
    assert _field(data, "moov/trak/edts/elst", ">IIi") == (1, 0, 2)
    moov = find(data, "moov")
    assert moov is not None
    assert [inner.kind for inner in walk(data, moov.body, moov.end)].count(b"trak") == 2


def test_a_silent_file_has_one_track() -> None:
    data = init_segment(VIDEO, None, duration_ms=1000)
    moov = find(data, "moov")
    assert moov is not None
    assert [inner.kind for inner in walk(data, moov.body, moov.end)].count(b"trak") == 1


def test_a_fragment_points_at_its_own_samples() -> None:
    video = Run(start=30, duration=1, samples=[Sample(data=b"IDR!", offset=2), Sample(data=b"pp", offset=3)])
    audio = Run(start=1024, duration=1024, samples=[Sample(data=b"snd")])
    made = fragment(7, video, audio)
    moof, mdat = walk(made.data)
    assert made.data[mdat.body : mdat.end] == b"IDR!ppsnd"
    offsets = [_data_offset(made.data, traf) for traf in walk(made.data, moof.body, moof.end) if traf.kind == b"traf"]
    assert [made.data[offset : offset + 3] for offset in offsets] == [b"IDR", b"snd"]
    assert made.data[made.key_bytes - 4 : made.key_bytes] == b"IDR!"


def _data_offset(data: bytes, traf: Box) -> int:
    trun = next(inner for inner in walk(data, traf.body, traf.end) if inner.kind == b"trun")
    offset: int = struct.unpack_from(">i", data, trun.body + 8)[0]
    return offset


@given(st.lists(st.tuples(st.integers(1, 2**31 - 1), st.integers(1, 10_000)), min_size=1, max_size=50))
def test_the_index_has_the_size_that_was_kept_free_for_it(entries: list[tuple[int, int]]) -> None:
    assert len(sidx(30, entries)) == sidx_bytes(len(entries))


def test_a_rung_file_gets_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    grown: list[tuple[int, int]] = []
    file = RungFile(
        tmp_path / "360p.mp4",
        init=init_segment(VIDEO, None, duration_ms=2000),
        timescale=30,
        fragments=2,
        grown=lambda size, final: grown.append((size, final)),
    )
    run = Run(start=0, duration=1, samples=[Sample(data=b"IDR!")])
    file.append(fragment(1, run, None), ticks=1)
    assert not (tmp_path / "360p.mp4").exists()
    file.append(fragment(2, run, None), ticks=1)
    layout = file.finish()
    data = (tmp_path / "360p.mp4").read_bytes()
    assert len(data) == layout.size_bytes == grown[-1][0]
    assert [top.kind for top in walk(data)] == [b"ftyp", b"moov", b"sidx", *([b"moof", b"mdat"] * 2)]
    assert [top.start for top in walk(data) if top.kind == b"moof"] == [place.offset for place in layout.places]
    assert layout.prefix_bytes == layout.places[1].offset


def test_a_rung_file_with_other_cuts_than_planned_is_an_error(tmp_path: Path) -> None:
    file = RungFile(tmp_path / "x.mp4", init=b"", timescale=1, fragments=1, grown=lambda size, final: None)
    with pytest.raises(ValueError, match="0 fragments, 1 planned"):
        file.finish()
    file.abandon()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "data",
    [b"\x00\x00", b"\x00\x00\x00\x04moov", b"\x00\x00\x00\x20moov", b"\x00\x00\x00\x01moov", box(b"free")[:-1]],
)
def test_impossible_boxes_are_named(data: bytes) -> None:
    with pytest.raises(BoxError):
        list(walk(data))


@given(st.binary(max_size=300))
def test_the_reader_ends_on_any_bytes(data: bytes) -> None:
    with contextlib.suppress(BoxError):
        assert all(found.start < found.end <= len(data) for found in walk(data))
