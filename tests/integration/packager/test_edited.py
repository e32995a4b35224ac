"""Edits, seen and heard in the result."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from packager import PackagingFailed, Refusal, RefusedInput
from packager.edits import Edits, Layout, Look, Partner, SoundOverlay
from tests.integration.packager.making import AAC, H264, make, run
from tests.integration.packager.reading import check_rung
from tests.integration.packager.test_shapes import made


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 s: black for a second, then white; 440 Hz."""
    path = tmp_path_factory.mktemp("edited") / "in.mp4"
    run(
        *("-v", "error", "-f", "lavfi", "-i", "color=0x102030:size=320x240:rate=25:duration=2"),
        *("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=2"),
        *("-vf", "drawbox=color=0xe0d0c0:t=fill:enable='gte(t,1)'"),
        *(*H264, *AAC, str(path)),
    )
    return path


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def pitch_hz(path: Path) -> float:
    """The loudest frequency."""
    pcm = run("-v", "error", "-i", str(path), "-map", "0:a", "-f", "f32le", "-ac", "1", "-ar", "48000", "-")
    spectrum = np.abs(np.fft.rfft(np.frombuffer(pcm, np.float32)[4800:]))
    return float(np.argmax(spectrum) * 48_000 / (2 * (spectrum.size - 1)))


async def test_a_trim_keeps_just_its_part(source: Path, tmp_path: Path) -> None:
    done, _ = await made(source, tmp_path, Edits(trim_start_ms=500, trim_end_ms=1400))
    assert done.manifest.duration_ms == pytest.approx(900, abs=20)
    check_rung(tmp_path, done.manifest.renditions[0], has_audio=True)
    shown = [picture.mean() > 128 for picture in pictures(tmp_path / "240p.mp4")]
    assert shown == sorted(shown)  # dark, then light
    assert shown.count(False) in (12, 13)


@pytest.mark.parametrize(("speed", "milliseconds"), [(0.5, 4000), (2.0, 1000)])
async def test_speed_changes_the_length_but_not_the_pitch(
    speed: float, milliseconds: int, source: Path, tmp_path: Path
) -> None:
    done, _ = await made(source, tmp_path, Edits(speed=speed))
    assert done.manifest.duration_ms == milliseconds
    check_rung(tmp_path, done.manifest.renditions[0], has_audio=True)
    assert pitch_hz(tmp_path / "240p.mp4") == pytest.approx(440, abs=15)


async def test_a_sound_replaces_or_joins_the_original(source: Path, tmp_path: Path) -> None:
    sound = tmp_path / "sound.mp3"
    run("-v", "error", "-f", "lavfi", "-i", "sine=frequency=880:sample_rate=44100:duration=3", str(sound))
    await made(source, tmp_path / "alone", Edits(sound=SoundOverlay(start_ms=200)), sound=sound)
    assert pitch_hz(tmp_path / "alone" / "240p.mp4") == pytest.approx(880, abs=5)
    quiet = Edits(sound=SoundOverlay(volume=0.2, original_volume=1.0))
    await made(source, tmp_path / "mixed", quiet, sound=sound)
    assert pitch_hz(tmp_path / "mixed" / "240p.mp4") == pytest.approx(440, abs=5)


async def test_a_muted_clip_has_no_sound(source: Path, tmp_path: Path) -> None:
    done, _ = await made(source, tmp_path, Edits(mute=True))
    assert not done.manifest.has_audio
    assert done.manifest.renditions[0].codecs.count(",") == 0


async def test_a_look_colours_rungs_and_poster_alike(source: Path, tmp_path: Path) -> None:
    done, _ = await made(source, tmp_path, Edits(look=Look.MONO, trim_start_ms=1200))
    for picture in pictures(tmp_path / "240p.mp4")[:3]:
        assert np.ptp(picture.reshape(-1, 3).mean(axis=0)) < 4
    with Image.open(tmp_path / "poster.webp") as poster:
        assert np.ptp(np.asarray(poster.convert("RGB")).reshape(-1, 3).mean(axis=0)) < 4
    assert done.manifest.has_audio
    assert not (tmp_path / ".scratch").exists()


async def test_the_poster_is_the_picked_picture(source: Path, tmp_path: Path) -> None:
    await made(source, tmp_path / "dark", Edits(thumbnail_ms=300))
    await made(source, tmp_path / "light", Edits(thumbnail_ms=1700))
    levels = []
    for name in ("dark", "light"):
        with Image.open(tmp_path / name / "poster.webp") as poster:
            levels.append(np.asarray(poster.convert("L")).mean())
    assert levels[0] < 80 < 180 < levels[1]


async def test_a_duet_shows_both_and_a_stitch_one_after_the_other(source: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other.mp4", *H264, *AAC, size="240x320", seconds=1.0)
    duet, _ = await made(source, tmp_path / "duet", Edits(partner=Partner(layout=Layout.DUET)), partner=other)
    assert (duet.manifest.width, duet.manifest.height, duet.manifest.duration_ms) == (240, 360, 2000) or (
        duet.manifest.renditions[-1].height > duet.manifest.renditions[-1].width
    )
    last = pictures(tmp_path / "duet" / f"{duet.manifest.renditions[-1].name}.mp4")[-1]
    half = last.shape[0] // 2
    assert last[:half].std() > 30  # the test picture
    assert last[half + 10 :].std() < 20  # the plain one
    edits = Edits(partner=Partner(layout=Layout.STITCH, stitch_ms=600))
    stitch, _ = await made(source, tmp_path / "stitch", edits, partner=other)
    assert stitch.manifest.duration_ms == 2600
    shown = [picture.std() > 40 for picture in pictures(tmp_path / "stitch" / "240p.mp4")]
    assert shown[:15] == [True] * 15
    assert not any(shown[16:])


async def test_edits_that_cannot_be_done_are_refused(source: Path, tmp_path: Path) -> None:
    absent = Edits(sound=SoundOverlay())
    for edits in (Edits(trim_start_ms=5000), Edits(partner=Partner(layout=Layout.DUET)), absent):
        with pytest.raises(RefusedInput) as refused:
            await made(source, tmp_path, edits)
        assert refused.value.code == Refusal.EDITS
    with pytest.raises((RefusedInput, PackagingFailed)) as failed:
        await made(source, tmp_path, Edits(sound=SoundOverlay()), sound=Path(__file__))
    assert isinstance(failed.value, RefusedInput)
