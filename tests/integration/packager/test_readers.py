"""The result before three independent readers of npm: hls-parser (strict), m3u8-parser, and GPAC's mp4box.js.

What the playlists promise is compared with what mp4box finds in the bytes; our own writer has no say in it.
"""

from __future__ import annotations

import json
import subprocess
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from tests.integration.packager.making import FFMPEG
from tests.integration.packager.packaging import Packaged
from tests.npm_tools import run_script

_SCRIPTS = Path(__file__).parent / "readers"
_IDR = 5
_RUNGS = ("360p", "480p", "720p")


@pytest.fixture(scope="module")
def playlists(bunny: Packaged) -> dict[str, Any]:
    found = json.loads(run_script(_SCRIPTS / "playlists.cjs", *sorted(bunny.out_dir.glob("*.m3u8"))))
    assert set(found) == {path.name for path in bunny.out_dir.glob("*.m3u8")}
    return dict(found)


@pytest.fixture(scope="module")
def files(bunny: Packaged) -> dict[str, Any]:
    """What mp4box found in each rung; it complains of nothing."""
    found = json.loads(run_script(_SCRIPTS / "mp4.cjs", *(bunny.out_dir / f"{rung}.mp4" for rung in _RUNGS)))
    assert found["faults"] == []
    return dict(found["files"])


def fragments(file: dict[str, Any]) -> list[tuple[int, int, list[dict[str, Any]]]]:
    """(offset, size, pictures) of each moof + mdat."""
    boxes = file["boxes"]
    moofs = [number for number, (kind, _, _) in enumerate(boxes) if kind == "moof"]
    video = next(track for track in file["tracks"] if track["type"] == "video")
    found = []
    for order, number in enumerate(moofs, start=1):
        assert boxes[number + 1][0] == "mdat"
        pictures = [sample for sample in video["samples"] if sample["moof"] == order]
        found.append((boxes[number][1], boxes[number][2] + boxes[number + 1][2], pictures))
    return found


def seconds(file: dict[str, Any], pictures: list[dict[str, Any]]) -> float:
    video = next(track for track in file["tracks"] if track["type"] == "video")
    return float(sum(picture["duration"] for picture in pictures) / video["timescale"])


def starts(file: dict[str, Any]) -> list[float]:
    """When each fragment's first picture is shown."""
    video = next(track for track in file["tracks"] if track["type"] == "video")
    return [(pictures[0]["cts"] - video["begins"]) / video["timescale"] for _, _, pictures in fragments(file)]


def test_two_readers_of_playlists_find_no_fault_and_agree(playlists: dict[str, Any]) -> None:
    for name, read in playlists.items():
        assert read["isMaster"] == (name == "master.m3u8")
        assert [warning for warning in read["warnings"] if "BYTERANGE" in warning] == [], name
        if name == "master.m3u8":
            assert read["variants"] == read["otherVariants"]
            assert [uri for uri, _, _ in read["variants"]] == [f"{rung}.m3u8" for rung in _RUNGS]
        else:
            assert read["segments"] == read["otherSegments"]
            assert len(read["segments"]) == 4


def test_mp4box_finds_the_boxes_of_a_fragmented_file_in_order_and_nothing_else(files: dict[str, Any]) -> None:
    for file in files.values():
        kinds = [kind for kind, _, _ in file["boxes"]]
        assert kinds[:3] == ["ftyp", "moov", "sidx"]
        assert kinds[3:] == ["moof", "mdat"] * 4
        assert file["isFragmented"]
        assert [track["type"] for track in file["tracks"]] == ["video", "audio"]


@pytest.mark.parametrize("rung", _RUNGS)
def test_every_segment_is_a_fragment_that_begins_with_an_idr_picture(
    rung: str, playlists: dict[str, Any], files: dict[str, Any]
) -> None:
    file = files[f"{rung}.mp4"]
    found = fragments(file)
    assert [(offset, size) for offset, size, _ in playlists[f"{rung}.m3u8"]["segments"]] == [
        (offset, size) for offset, size, _ in found
    ]
    for _, _, pictures in found:
        assert pictures[0]["isSync"]
        assert _IDR in pictures[0]["nal"]  # in the picture's own bytes, whatever the tables say
        first_shown = min(picture["cts"] for picture in pictures)
        assert pictures[0]["cts"] == first_shown  # closed: nothing of it is shown before it
    assert [sample["moof"] for sample in file["tracks"][0]["samples"]] == sorted(
        sample["moof"] for sample in file["tracks"][0]["samples"]
    )


@pytest.mark.parametrize("rung", _RUNGS)
def test_extinf_is_exact_to_a_millisecond_and_does_not_drift(
    rung: str, playlists: dict[str, Any], files: dict[str, Any]
) -> None:
    file = files[f"{rung}.mp4"]
    listed = [duration for _, _, duration in playlists[f"{rung}.m3u8"]["segments"]]
    measured = [seconds(file, pictures) for _, _, pictures in fragments(file)]
    assert listed == pytest.approx(measured, abs=0.001)
    assert [0.0, *accumulate(listed[:-1])] == pytest.approx(starts(file), abs=0.001)
    assert starts(file) == starts(files["360p.mp4"])  # the rungs are cut together


@pytest.mark.parametrize("rung", _RUNGS)
def test_the_index_in_the_file_says_what_the_playlist_says(
    rung: str, playlists: dict[str, Any], files: dict[str, Any]
) -> None:
    file = files[f"{rung}.mp4"]
    segments = playlists[f"{rung}.m3u8"]["segments"]
    assert file["indexEnd"] == segments[0][0]
    assert [size for size, _, _ in file["index"]] == [size for _, size, _ in segments]
    assert [duration for _, duration, _ in file["index"]] == pytest.approx([d for _, _, d in segments], abs=0.001)
    assert all(starts_with_sap for _, _, starts_with_sap in file["index"])


def test_bandwidth_codecs_and_resolution_are_those_of_the_bytes(
    playlists: dict[str, Any], files: dict[str, Any]
) -> None:
    master = playlists["master.m3u8"]
    for (uri, bandwidth, codecs), average, resolution in zip(
        master["variants"], master["averages"], master["resolutions"], strict=True
    ):
        file = files[uri.replace(".m3u8", ".mp4")]
        found = fragments(file)
        peak = max(size * 8 / seconds(file, pictures) for _, size, pictures in found)
        mean = sum(size for _, size, _ in found) * 8 / sum(seconds(file, pictures) for _, _, pictures in found)
        assert bandwidth == pytest.approx(peak, rel=0.10), uri
        assert average == pytest.approx(mean, rel=0.01), uri
        assert codecs == ",".join(track["codec"] for track in file["tracks"])
        assert resolution == [file["tracks"][0]["width"], file["tracks"][0]["height"]]


def test_sound_has_no_gap_and_is_as_long_as_the_picture(files: dict[str, Any]) -> None:
    for file in files.values():
        video, audio = file["tracks"]
        times = [sample["dts"] for sample in audio["samples"]]
        assert times == list(range(0, 1024 * len(times), 1024))
        picture_s = sum(sample["duration"] for sample in video["samples"]) / video["timescale"]
        assert len(times) * 1024 / audio["timescale"] == pytest.approx(picture_s, abs=0.022)


@pytest.mark.parametrize("name", ["master.m3u8", "360p.m3u8", "720p.m3u8", "360p.mp4", "720p.mp4"])
def test_ffmpegs_own_hls_and_mp4_readers_have_nothing_to_say(name: str, bunny: Packaged) -> None:
    """The demuxers and decoders of ffplay, at warning level, over every variant."""
    command = [FFMPEG, "-v", "warning", "-xerror", "-i", str(bunny.out_dir / name), "-map", "0", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stderr.decode() == ""
