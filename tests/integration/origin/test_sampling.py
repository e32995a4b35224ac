"""A vector made anew sees what the first one saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foundation.wire.media import MediaManifest
from origin.packaging.sampling import sample
from packager import package
from packager.events import Analysis, Completed
from tests.media import clip


async def test_what_is_sampled_from_a_rendition_is_what_the_packager_analysed(tmp_path: Path) -> None:
    analysis: Analysis | None = None
    manifest: MediaManifest | None = None
    async for event in package(clip("cat"), tmp_path):
        if isinstance(event, Analysis):
            analysis = event
            first = np.load(analysis.frames_path)
            heard = np.load(analysis.audio_path) if analysis.audio_path else None
        if isinstance(event, Completed):
            manifest = event.manifest
    assert analysis is not None
    assert manifest is not None
    frames, audio = sample((tmp_path / f"{manifest.renditions[0].name}.mp4").read_bytes(), manifest)
    assert frames.shape == first.shape
    assert np.abs(frames.astype(np.int16) - first).mean() < 8  # of 255: coding costs a little
    assert (audio is None) == (heard is None)
    if audio is not None and heard is not None:
        assert abs(len(audio) - len(heard)) < 16_000 // 4
