"""A real clip through the whole engine, every promise of the output checked with other people's parsers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from PIL import Image

from foundation.wire.media import MediaManifest
from packager import (
    Analysis,
    FileGrew,
    FileReady,
    Limits,
    Playable,
    Probed,
    Progress,
    RungReady,
)
from packager.sound.fingerprint import compressed, sub_fingerprints
from tests.integration.packager.making import AAC, FFMPEG, H264, make, run
from tests.integration.packager.packaging import Packaged, packaged
from tests.integration.packager.reading import check_rung, measure


def test_the_first_rung_plays_long_before_the_last(bunny: Packaged) -> None:
    order = [type(event).__name__ for event in bunny.events if not isinstance(event, FileGrew | FileReady | Progress)]
    assert order == ["SandboxReport", "Probed", "Playable", "Analysis", "RungReady", "RungReady", "Completed"]
    playable = bunny.of(Playable)[0]
    assert isinstance(playable, Playable)
    assert [rung.name for rung in playable.manifest.renditions] == ["360p"]
    assert playable.manifest.thumbhash
    assert playable.manifest.start_playlist == (bunny.out_dir / "360p.m3u8").read_text()
    counts = [len(event.manifest.renditions) for event in bunny.of(RungReady) if isinstance(event, RungReady)]
    assert counts == [2, 3]


def test_every_rung_keeps_its_promises(bunny: Packaged) -> None:
    assert [rung.name for rung in bunny.manifest.renditions] == ["360p", "480p", "720p"]
    keys = [check_rung(bunny.out_dir, rung, has_audio=True).keys_s for rung in bunny.manifest.renditions]
    assert keys[0] == keys[1] == keys[2] == [0.0, 1.0, 3.0, 4.16]


def test_the_files_are_those_of_the_manifest_and_all_were_announced(bunny: Packaged) -> None:
    on_disk = {path.name for path in bunny.out_dir.iterdir() if path.is_file()}
    assert on_disk == {*bunny.manifest.files, "manifest.json"}
    assert {event.name for event in bunny.of(FileReady) if isinstance(event, FileReady)} == on_disk
    for name, size in bunny.manifest.files.items():
        assert (bunny.out_dir / name).stat().st_size == size
    stored = msgspec.json.decode((bunny.out_dir / "manifest.json").read_bytes(), type=MediaManifest)
    assert stored == bunny.manifest


def test_bytes_are_announced_as_they_grow_and_never_change_after(bunny: Packaged) -> None:
    grown = [event for event in bunny.of(FileGrew) if isinstance(event, FileGrew) and event.name == "720p.mp4"]
    sizes = [event.size_bytes for event in grown]
    assert sizes == sorted(set(sizes))
    assert len(sizes) == 4
    assert sizes[-1] == bunny.manifest.renditions[-1].size_bytes
    assert {event.final_from for event in grown} == {
        bunny.manifest.renditions[-1].prefix_bytes - (sizes[0] - grown[0].final_from)
    }


def test_progress_moves_and_never_falls(bunny: Packaged) -> None:
    fractions = [event.fraction for event in bunny.of(Progress) if isinstance(event, Progress)]
    assert len(fractions) > 10
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.2
    assert 0.95 < fractions[-1] <= 1


def test_the_probe_tells_what_the_source_is(bunny: Packaged) -> None:
    probed = bunny.of(Probed)[0]
    assert isinstance(probed, Probed)
    source = probed.source
    assert (source.width, source.height, source.video_codec, source.audio_codec) == (1280, 720, "h264", "aac")
    assert source.audio_channels == 6


def test_the_sound_is_at_fourteen_lufs_and_below_full_scale(bunny: Packaged) -> None:
    lufs, peak = loudness_of(bunny.out_dir / "360p.mp4")
    assert lufs == pytest.approx(-14, abs=1.0)
    assert peak <= -0.5


def loudness_of(path: Path) -> tuple[float, float]:
    """Integrated loudness and true peak, by FFmpeg's loudnorm in measuring mode."""
    command = [FFMPEG, "-hide_banner", "-i", str(path), "-af", "loudnorm=print_format=json", "-f", "null", "-"]
    text = subprocess.run(command, capture_output=True, check=True).stderr.decode()
    report = json.loads(text[text.rindex("{") :][: text[text.rindex("{") :].index("}") + 1])
    return float(report["input_i"]), float(report["input_tp"])


def test_the_stills_are_pictures_of_the_clip(bunny: Packaged) -> None:
    with Image.open(bunny.out_dir / "poster.webp") as poster:
        assert poster.size == (1280, 720)
        assert 30 < np.asarray(poster.convert("L")).mean() < 225
    with Image.open(bunny.out_dir / "preview.webp") as preview:
        assert preview.size == (320, 180)
        assert getattr(preview, "n_frames", 1) >= 20
    with Image.open(bunny.out_dir / "storyboard.webp") as board:
        width, height = board.size
    cues = (bunny.out_dir / "storyboard.vtt").read_text()
    assert cues.startswith("WEBVTT\n\n00:00:00.000 --> ")
    last = [int(part) for part in cues.strip().rsplit("xywh=", 1)[1].split(",")]
    assert last[0] + last[2] <= width
    assert last[1] + last[3] <= height


def test_the_analysis_files_hold_what_the_models_take(bunny: Packaged) -> None:
    analysis = bunny.of(Analysis)[0]
    assert isinstance(analysis, Analysis)
    frames = np.load(analysis.frames_path, allow_pickle=False)
    assert frames.shape == (10, 224, 224, 3)
    assert frames.dtype == np.uint8
    assert frames.std() > 20
    assert analysis.audio_path is not None
    audio = np.load(analysis.audio_path, allow_pickle=False)
    assert audio.dtype == np.float32
    assert audio.size == pytest.approx(5.28 * 16_000, rel=0.01)
    assert len(bunny.manifest.frame_hashes) == 10
    assert all(len(digest) == 64 for digest in bunny.manifest.frame_hashes)


def test_the_fingerprint_is_what_chromaprint_makes_of_the_same_sound(bunny: Packaged) -> None:
    sound = run(
        *("-v", "error", "-i", str(bunny.out_dir / "360p.mp4")), *("-f", "s16le", "-ac", "1", "-ar", "11025", "-")
    )
    samples = np.frombuffer(sound, np.int16)
    (bunny.out_dir / "sound.raw").write_bytes(sound)
    try:
        raw = ("-v", "error", "-f", "s16le", "-ar", "11025", "-ac", "1", "-i", str(bunny.out_dir / "sound.raw"))
        theirs = run(*raw, "-f", "chromaprint", "-fp_format", "base64", "-").decode().strip()
        assert compressed(sub_fingerprints(samples)) == theirs.rstrip("=")
    finally:
        (bunny.out_dir / "sound.raw").unlink()
    assert bunny.manifest.audio_fingerprint is not None


async def test_picture_and_sound_stay_together(tmp_path: Path) -> None:
    """A flash and a beep at 2.0 s in the source are within a frame of each other in every rung."""
    source = tmp_path / "flash.mp4"
    run(
        *("-v", "error", "-f", "lavfi", "-i", "color=black:size=640x360:rate=30:duration=4"),
        *("-f", "lavfi", "-i", "sine=frequency=1000:sample_rate=48000:duration=4"),
        *("-vf", "drawbox=color=white:t=fill:enable='between(t,2,2.5)'"),
        *("-af", "volume=0:enable='not(between(t,2,2.5))'"),
        *H264,
        *AAC,
        str(source),
    )
    job = await packaged(source, tmp_path / "out")
    flash, beep = _flash_and_beep(job.out_dir / "360p.mp4")
    assert flash == pytest.approx(2.0, abs=0.001)
    assert beep == pytest.approx(2.0, abs=0.012)


def _flash_and_beep(path: Path) -> tuple[float, float]:
    flash: float | None = None
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if flash is None and frame.to_ndarray(format="gray").mean() > 128:
                flash = float(frame.pts * frame.time_base)
    pcm = run("-v", "error", "-i", str(path), "-map", "0:a", "-f", "f32le", "-ac", "1", "-ar", "48000", "-")
    samples = np.abs(np.frombuffer(pcm, np.float32))
    assert flash is not None
    return flash, float(np.argmax(samples > 0.05)) / 48_000


async def test_a_clip_without_sound_says_so(tmp_path: Path) -> None:
    job = await packaged(make(tmp_path / "silent.mp4", *H264, sound=False), tmp_path / "out")
    assert not job.manifest.has_audio
    assert all(rung.codecs.startswith("avc1.") and "," not in rung.codecs for rung in job.manifest.renditions)
    check_rung(job.out_dir, job.manifest.renditions[0], has_audio=False)
    analysis = job.of(Analysis)[0]
    assert isinstance(analysis, Analysis)
    assert analysis.audio_path is None


async def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    """But for what x264's frame threads come to under a rate ceiling, which hangs on their timing: it has one here."""
    source = make(tmp_path / "in.mp4", *H264, *AAC, size="320x240", seconds=1.2)
    for name in ("first", "second"):
        await packaged(source, tmp_path / name, limits=Limits(threads=1))
    first, second = ((tmp_path / name / "240p.mp4").read_bytes() for name in ("first", "second"))
    assert first == second
    assert measure(tmp_path / "first" / "240p.mp4").frames == 36
