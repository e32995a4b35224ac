"""A sound made ready for the library: what other people's decoders hear in it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from packager import Limits, PackagingFailed, Refusal, RefusedInput, prepare_sound
from tests.integration.packager.making import AAC, H264, make, run
from tests.integration.packager.test_edited import pitch_hz


def tone(path: Path, *, seconds: float = 4.0, hertz: int = 660, volume: str = "1.0") -> Path:
    source = f"sine=frequency={hertz}:sample_rate=44100:duration={seconds}"
    run("-v", "error", "-y", "-f", "lavfi", "-i", source, "-af", f"volume={volume}", str(path))
    return path


@pytest.mark.parametrize("suffix", ["mp3", "wav", "flac", "ogg", "m4a"])
async def test_any_sound_file_becomes_aac_of_the_same_pitch_and_length(suffix: str, tmp_path: Path) -> None:
    made = await prepare_sound(tone(tmp_path / f"in.{suffix}"), tmp_path / "out")
    path = tmp_path / "out" / made.name
    assert path.stat().st_size == made.size_bytes
    assert made.duration_ms == pytest.approx(4000, abs=60)  # MP3 pads
    assert made.fingerprint
    assert pitch_hz(path) == pytest.approx(660, abs=2)
    with av.open(str(path)) as container:
        sound = container.streams.audio[0]
        assert (sound.codec_context.name, sound.rate, sound.channels) == ("aac", 48_000, 2)
        assert not container.streams.video
        assert float(container.duration) / av.time_base == pytest.approx(made.duration_ms / 1000, abs=0.05)


async def test_loud_and_quiet_files_come_out_equally_loud(tmp_path: Path) -> None:
    levels, asked = [], []
    for volume in ("0.25", "4.0"):
        made = await prepare_sound(tone(tmp_path / f"{volume}.wav", volume=volume), tmp_path / volume)
        pcm = run("-v", "error", "-i", str(tmp_path / volume / made.name), "-f", "f32le", "-ac", "1", "-")
        levels.append(float(np.sqrt(np.mean(np.square(np.frombuffer(pcm, np.float32)[9600:])))))
        asked.append(made.loudness_lufs)
    assert asked[1] - asked[0] == pytest.approx(24.1, abs=0.5)  # 4 / 0.25, in decibels
    assert levels[0] == pytest.approx(levels[1], rel=0.05)


async def test_a_sound_keeps_its_first_instant(tmp_path: Path) -> None:
    """Silence for half a second, then a tone: a click track mixed under a clip must stay on its beat."""
    path = tmp_path / "late.wav"
    run("-v", "error", "-f", "lavfi", "-i", "sine=frequency=880:duration=2,adelay=500:all=1", str(path))
    made = await prepare_sound(path, tmp_path / "out")
    pcm = run("-v", "error", "-i", str(tmp_path / "out" / made.name), "-f", "f32le", "-ac", "1", "-ar", "48000", "-")
    loud = np.flatnonzero(np.abs(np.frombuffer(pcm, np.float32)) > 0.05)
    assert loud[0] / 48_000 == pytest.approx(0.5, abs=0.01)


async def test_the_sound_of_a_video_serves_too(tmp_path: Path) -> None:
    made = await prepare_sound(make(tmp_path / "in.mp4", *H264, *AAC, seconds=2.0), tmp_path / "out")
    assert made.duration_ms == pytest.approx(2000, abs=60)
    assert made.fingerprint is None  # too short for one
    assert pitch_hz(tmp_path / "out" / made.name) == pytest.approx(440, abs=2)


async def test_what_is_no_sound_is_refused_with_its_reason(tmp_path: Path) -> None:
    silent = make(tmp_path / "silent.mp4", *H264, sound=False)
    text = tmp_path / "list.m3u8"
    text.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    header = tmp_path / "broken.mp3"
    header.write_bytes(b"ID3" + bytes(4000))
    long = tone(tmp_path / "long.wav", seconds=4)
    for path, limits, code in (
        (silent, Limits(), Refusal.EDITS),
        (text, Limits(), Refusal.PLAYLIST),
        (header, Limits(), Refusal.DAMAGED),
        (long, Limits(max_duration_s=3), Refusal.TOO_LONG),
    ):
        with pytest.raises(RefusedInput) as refused:
            await prepare_sound(path, tmp_path / "out", limits=limits)
        assert refused.value.code == code, path
        assert not list((tmp_path / "out").iterdir())


async def test_a_sound_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(PackagingFailed) as failed:
        await prepare_sound(tone(tmp_path / "in.wav"), tmp_path / "out", deadline_s=0.05)
    assert failed.value.code == "deadline"
