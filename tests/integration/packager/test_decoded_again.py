"""Pictures that find no room in memory wait on disk or are decoded again: all comes out the same."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation

from packager import Completed, package
from packager.edits import NO_EDITS, Edits
from packager.encoder.halt import Halt, beside, waited
from packager.encoder.overflow import Overflow
from packager.encoder.pace import Pace
from packager.encoder.pictures import packets_before, same_picture
from packager.encoder.scene import Inputs, Scene, build_scene
from packager.encoder.shape import Shaper
from packager.encoder.spool import Spool
from packager.encoder.stills import poster_shaper
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
    some = 20 * 854 * 480 * 3 // 2
    for name, held, on_disk in (("none", 0, 0), ("some", some, 0), ("disk", some // 4, 1 << 30), ("all", 1 << 30, 0)):
        # One thread: x264's choices do not hang on timing.
        limits = Limits(frame_memory_bytes=held, frame_disk_bytes=on_disk, threads=1)
        events = [event async for event in package(source, tmp_path / name, limits=limits)]
        assert isinstance(events[-1], Completed)
    for file in ("360p.mp4", "480p.mp4", "poster.webp", "storyboard.webp"):
        made = {(tmp_path / name / file).read_bytes() for name in ("none", "some", "disk", "all")}
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


@pytest.mark.parametrize("name", ["left.mp4", "centre.mp4", "pq.mp4"])
def test_pictures_that_wait_on_disk_come_out_of_the_scaler_the_same(
    name: str, scene_of: object, tmp_path: Path
) -> None:
    """Not their pixels alone count: the scaler looks at where the chroma lies, at the matrix and at the range.

    One has been the poster's picture before, as happens to some in the first lane.
    """
    centre = ("-c:v", "mpeg4", "-pix_fmt", "yuv420p")
    pq = (*KEYED, "-pix_fmt", "yuv420p10le", "-color_trc", "smpte2084", "-color_primaries", "bt2020", "-colorspace")
    options = {"left.mp4": KEYED, "centre.mp4": centre, "pq.mp4": (*pq, "bt2020nc")}[name]
    assert callable(scene_of)
    scene = scene_of(make(tmp_path / name, *options, size="322x182", seconds=1))
    whole = [picture for _, picture in scene.pictures(threads=1)]
    halt = Halt()
    patient = Pace(total=30, goal_s=float("inf"), clock=lambda: 0.0)
    overflow = Overflow(tmp_path, limit_bytes=64 << 20, picture_bytes=scene.picture_bytes)
    spool = Spool(capacity=4, total=30, halt=halt, pace=patient, overflow=overflow)
    spilling = beside("spill", spool.spill, halt)
    poster_shaper(scene.spec, (scene.width, scene.height)).shape(whole[12])
    for place, picture in enumerate(whole):
        spool.put(place, picture)
    spool.close()
    waited(spilling, halt)
    got = [picture for _, picture in upper_pictures(scene, spool, threads=1)]
    assert sum(one is not other for one, other in zip(got, whole, strict=True)) >= 26
    shaper = Shaper(scene.spec, 160, 90, interpolation=Interpolation.BICUBIC)
    assert [_pixels(shaper.shape(one)) for one in got] == [_pixels(shaper.shape(one)) for one in whole]
    spool.discard()


def _pixels(frame: av.VideoFrame) -> bytes:
    return frame.to_ndarray().tobytes()
