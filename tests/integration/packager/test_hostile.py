"""Hostile and broken inputs: each gets a clear refusal or a valid package, quickly, and nothing else ever happens."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from packager import Limits, PackagingFailed, Refusal, RefusedInput, package
from packager.events import Completed
from packager.mp4.boxes import find, walk
from tests.integration.packager.making import AAC, H264, make
from tests.integration.packager.reading import check_names_only_final_bytes


async def outcome(source: Path, out_dir: Path, *, limits: Limits | None = None) -> str:
    """ "ok", or the code of the refusal or failure."""
    try:
        async for event in package(source, out_dir, limits=limits or Limits(), deadline_s=60):
            if isinstance(event, Completed):
                check_names_only_final_bytes(out_dir)
                return "ok"
    except RefusedInput as err:
        return err.code if err.detail.endswith(".") else "a refusal without a sentence"
    except PackagingFailed as err:
        return err.code
    return "nothing"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.mp4"
    return make(path, *H264, *AAC, "-movflags", "+faststart", size="160x120", seconds=1.0).read_bytes()


def _with_size(data: bytes, width: int, height: int) -> bytes:
    """The avc1 entry claims another size (the SPS inside avcC keeps its own)."""
    place = data.index(b"avc1", data.index(b"stsd"))
    return data[: place + 28] + struct.pack(">HH", width, height) + data[place + 32 :]


def _huge_box(data: bytes) -> bytes:
    """moov claims 4 GB."""
    moov = find(data, "moov")
    assert moov is not None
    return data[: moov.start] + struct.pack(">I", 0xFFFFFFF0) + data[moov.start + 4 :]


def _external_track(data: bytes) -> bytes:
    """dref points at a file outside."""
    return data.replace(b"url \x00\x00\x00\x01", b"alis\x00\x00\x00\x00", 2)


def _many_samples(data: bytes) -> bytes:
    """stsz claims four billion samples."""
    place = data.index(b"stsz")
    return data[: place + 12] + struct.pack(">I", 0xFFFFFFFF) + data[place + 16 :]


def _no_media(data: bytes) -> bytes:
    """The table of contents without the data."""
    return b"".join(data[top.start : top.end] for top in walk(data) if top.kind != b"mdat")


BROKEN: dict[str, tuple[Callable[[bytes], bytes], set[str]]] = {
    "truncated-in-the-moov": (lambda data: data[:300], {Refusal.DAMAGED}),
    "truncated-at-a-third": (lambda data: data[: len(data) // 3], {Refusal.DAMAGED}),
    "head-missing": (lambda data: data[50:], {Refusal.CONTAINER}),
    "no-media-data": (_no_media, {Refusal.DAMAGED}),
    "moov-of-4-GB": (_huge_box, {Refusal.DAMAGED, "ok"}),
    "size-65535x65535": (lambda data: _with_size(data, 65535, 65535), {"ok", Refusal.TOO_MANY_PIXELS}),
    "size-0x0": (lambda data: _with_size(data, 0, 0), {"ok", Refusal.DAMAGED}),
    "four-billion-samples": (_many_samples, {Refusal.DAMAGED, "ok"}),
    "external-track": (_external_track, {Refusal.DAMAGED, "ok"}),
    "all-zero-media": (
        lambda data: data[: data.index(b"mdat") + 4] + bytes(len(data) - data.index(b"mdat") - 4),
        {Refusal.DAMAGED},
    ),
}


@pytest.mark.parametrize("fault", sorted(BROKEN))
async def test_a_broken_file_is_refused_or_packaged_never_fatal(fault: str, good: bytes, tmp_path: Path) -> None:
    damage, expected = BROKEN[fault]
    source = tmp_path / "in.mp4"
    source.write_bytes(damage(good))
    assert await outcome(source, tmp_path / "out") in expected


@pytest.mark.parametrize("seed", range(6))
async def test_flipped_bits_never_kill_the_parent_or_hang(seed: int, good: bytes, tmp_path: Path) -> None:
    """20 random bytes changed anywhere but in the first box, so that the file still looks like MP4."""
    chance = random.Random(seed)
    data = bytearray(good)
    for _ in range(20):
        data[chance.randrange(32, len(data))] = chance.randrange(256)
    source = tmp_path / "in.mp4"
    source.write_bytes(data)
    assert await outcome(source, tmp_path / "out") in {"ok", *Refusal}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("playlist.m3u8", "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        ("concat.txt", "ffconcat version 1.0\nfile '/etc/passwd'\n"),
        ("drawing.svg", '<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
        ("session.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"),
        ("manifest.mpd", '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>'),
    ],
)
async def test_scripts_that_name_other_files_are_refused(name: str, text: str, tmp_path: Path) -> None:
    source = tmp_path / name
    source.write_text(text)
    assert await outcome(source, tmp_path / "out") in {Refusal.PLAYLIST, Refusal.NOT_MEDIA}
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(max_bytes=1000), Refusal.TOO_LARGE),
        (Limits(max_duration_s=0.5), Refusal.TOO_LONG),
        (Limits(max_duration_s=0.2), Refusal.TOO_LONG),
        (Limits(min_duration_s=5.0), Refusal.TOO_SHORT),
        (Limits(max_pixels=160 * 100), Refusal.TOO_MANY_PIXELS),
        (Limits(max_edge=128), Refusal.TOO_MANY_PIXELS),
        (Limits(min_edge=200), Refusal.TOO_SMALL),
        (Limits(max_frame_rate=20.0), Refusal.FRAME_RATE),
        (Limits(max_frames=10), Refusal.TOO_LONG),
        (Limits(max_streams=1), Refusal.TOO_MANY_STREAMS),
        (Limits(max_output_bytes=2000), "output-limit"),
        (Limits(memory_bytes=180 << 20), "memory"),
    ],
)
async def test_every_limit_holds_and_names_itself(limits: Limits, code: str, good: bytes, tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    source.write_bytes(good)
    assert await outcome(source, tmp_path / "out", limits=limits) == code


async def test_sound_alone_and_pictures_alone_are_told_apart(tmp_path: Path) -> None:
    sound = make(tmp_path / "in.m4a", "-map", "1:a", *AAC, size="64x64", seconds=1)
    assert await outcome(sound, tmp_path / "a") == Refusal.NO_VIDEO
    renamed = make(tmp_path / "sound.mp4", "-map", "1:a", *AAC, size="64x64", seconds=1)
    assert await outcome(renamed, tmp_path / "b") == Refusal.NO_VIDEO
    odd = make(tmp_path / "in.mkv", "-c:v", "ffv1", *AAC, size="64x64", seconds=0.5)
    assert await outcome(odd, tmp_path / "c") == Refusal.CODEC


async def test_a_pipe_or_a_folder_is_no_input(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    assert await outcome(tmp_path / "pipe", tmp_path / "out") == Refusal.NOT_MEDIA
    assert await outcome(tmp_path, tmp_path / "out") == Refusal.NOT_MEDIA
