import os
from pathlib import Path

from foundation.wire.media import MediaManifest
from packager.encoder.outbox import Outbox
from packager.encoder.standing import Standing
from packager.events import Playable, Progress

MANIFEST = MediaManifest(
    duration_ms=1,
    width=2,
    height=2,
    frame_rate=30.0,
    has_audio=False,
    renditions=(),
    start_playlist="",
    thumbhash="",
    loudness_lufs=None,
)


def _standing(path: Path) -> tuple[Standing, int]:
    reading, writing = os.pipe()
    return Standing(Outbox(writing), path=path), reading


def test_a_job_lowers_its_weight_once_its_clip_is_playable(tmp_path: Path) -> None:
    autogroup = tmp_path / "autogroup"
    autogroup.touch()
    standing, reading = _standing(autogroup)
    standing.emit(Progress(stage="first-rung", fraction=0.5))
    assert autogroup.read_bytes() == b""
    standing.emit(Playable(manifest=MANIFEST))
    assert autogroup.read_bytes() == b"19"
    assert os.read(reading, 1 << 16).count(b"\n") == 2


def test_messages_pass_on_a_kernel_without_automatic_groups(tmp_path: Path) -> None:
    standing, reading = _standing(tmp_path / "none")
    standing.emit(Playable(manifest=MANIFEST))
    assert b'"playable"' in os.read(reading, 1 << 16)
