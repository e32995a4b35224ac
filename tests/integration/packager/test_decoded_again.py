"""Pictures that found no room in memory are decoded a second time, from a key picture: the result is the same."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from packager import Completed, package
from packager.edits import NO_EDITS, Edits
from packager.encoder.halt import Halt
from packager.encoder.pace import Pace
from packager.encoder.pictures import packets_before, same_picture
from packager.encoder.scene import Inputs, Scene, build_scene
from packager.encoder.spool import Spool
from packager.encoder.upper_lane import upper_pictures
from packager.limits import Limits
from tests.integration.packager.making import AAC, make

KEYED = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "12", "-bf", "2")
OPEN = (
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-pix_fmt",
    "yuv420p",
    "-x264-params",
    "keyint=12:open-gop=1:bframes=2",
)
REFRESHED = (
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-pix_fmt",
    "yuv420p",
    "-x264-params",
    "keyint=12:intra-refresh=1",
)
PLACES = (1, 12, 13, 29, 30, 43)


@pytest.fixture
def scene_of(tmp_path: Path) -> Iterator[object]:
    opened = []

    def build(path: Path, edits: Edits = NO_EDITS) -> Scene:
        file = path.open("rb")
        opened.append(file)
        return build_scene(Inputs(source=file.fileno()), edits=edits, limits=Limits(), out_dir=tmp_path)

    yield build
    for file in opened:
        file.close()


def _luma(frame: av.VideoFrame) -> bytes:
    plane = frame.planes[0]
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return lines[:, : plane.width].tobytes()


def _check_resumes(scene: Scene) -> None:
    whole = [picture for _, picture in scene.pictures(threads=1)]
    for place in (place for place in PLACES if place < scene.total):
        resumed = list(scene.resumed(place, whole[place - 1], threads=2))
        assert [index for index, _ in resumed] == list(range(place, scene.total))
        assert all(_luma(picture) == _luma(whole[index]) for index, picture in resumed)


@pytest.mark.parametrize(
    ("name", "options", "edits"),
    [
        ("keyed.mp4", KEYED, NO_EDITS),
        ("open.mp4", OPEN, NO_EDITS),
        ("refreshed.ts", REFRESHED, NO_EDITS),
        ("keyed.mkv", KEYED, NO_EDITS),
        ("keyed.ts", KEYED, NO_EDITS),
        ("trimmed.mp4", KEYED, Edits(trim_start_ms=300, trim_end_ms=1900)),
        ("slowed.mp4", KEYED, Edits(speed=0.5)),
        ("hurried.mp4", KEYED, Edits(speed=2.0, trim_start_ms=100)),
        ("vp9.webm", ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-g", "12", "-b:v", "300k"), NO_EDITS),
        ("interlaced.ts", ("-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-vf", "interlace", "-g", "12"), NO_EDITS),
    ],
)
def test_decoding_resumes_with_the_same_pictures(
    name: str, options: tuple[str, ...], edits: Edits, scene_of: object, tmp_path: Path
) -> None:
    source = make(tmp_path / name, *options, size="160x120", rate="50" if edits.speed == 2 else "30", seconds=2.2)
    assert callable(scene_of)
    _check_resumes(scene_of(source, edits))


def test_only_the_packets_since_a_key_picture_are_decoded(scene_of: object, tmp_path: Path) -> None:
    assert callable(scene_of)
    scene = scene_of(make(tmp_path / "in.mp4", *KEYED, size="160x120", seconds=2))
    seen, window, rate = scene.own.seen, scene.own.window, Fraction(30)
    assert [key.number for key in seen.keys] == [0, 12, 24, 36, 48]
    places = (0, 11, 12, 13, 35, 36, 59)
    assert [packets_before(seen, window, rate=rate, place=place) for place in places] == [0, 0, 12, 12, 24, 36, 48]


def test_a_key_picture_that_lies_is_found_out(scene_of: object, tmp_path: Path) -> None:
    """`last` is another picture than decoding from the key picture comes to: it begins at the beginning."""
    assert callable(scene_of)
    scene = scene_of(make(tmp_path / "in.mp4", *KEYED, size="160x120", seconds=1))
    whole = [picture for _, picture in scene.pictures(threads=1)]
    assert not same_picture(whole[3], whole[20])
    resumed = list(scene.resumed(21, whole[3], threads=1))
    assert [_luma(picture) for _, picture in resumed] == [_luma(picture) for picture in whole[21:]]


async def test_the_files_are_the_same_however_much_memory_there_was(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4", *KEYED, *AAC, size="854x480", seconds=1.6)
    for name, held in (("none", 0), ("some", 20 * 854 * 480 * 3 // 2), ("all", 1 << 30)):
        limits = Limits(frame_memory_bytes=held, threads=1)  # one thread: x264's choices do not hang on timing
        events = [event async for event in package(source, tmp_path / name, limits=limits)]
        assert isinstance(events[-1], Completed)
    for file in ("360p.mp4", "480p.mp4", "poster.webp", "storyboard.webp"):
        made = {(tmp_path / name / file).read_bytes() for name in ("none", "some", "all")}
        assert len(made) == 1, file


def test_what_the_spool_left_out_in_the_middle_is_decoded_and_no_more(scene_of: object, tmp_path: Path) -> None:
    assert callable(scene_of)
    scene = scene_of(make(tmp_path / "in.mp4", *KEYED, size="160x120", seconds=2))
    whole = [picture for _, picture in scene.pictures(threads=1)]
    halt = Halt()
    hurried = Pace(total=60, goal_s=0.0, clock=lambda: 0.0)
    spool = Spool(capacity=10, total=60, halt=halt, pace=hurried)
    for place in range(50):
        spool.put(place, whole[place])
    upper = upper_pictures(scene, spool, threads=1)
    got = [next(upper) for _ in range(10)]
    for place in range(50, 60):
        spool.put(place, whole[place])
    spool.close()
    got += upper
    assert [place for place, _ in got] == list(range(60))
    assert [_luma(picture) for _, picture in got] == [_luma(picture) for picture in whole]
    decoded = [place for place, picture in got if picture is not whole[place]]
    assert decoded == list(range(10, 50))
