"""One packaging job inside the child: the stages in order, each reported as it ends."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation

from foundation.wire.media import MediaManifest
from packager.edits import Edits
from packager.encoder.gallery import Gallery
from packager.encoder.rung_encoder import RungJob
from packager.encoder.scene import Inputs, Scene, build_scene
from packager.encoder.shape import SCRATCH
from packager.encoder.stills import frame_hashes, write_later_stills, write_poster
from packager.encoder.wave import Tap, run_wave
from packager.events import (
    CONTENT_TYPES,
    Analysis,
    ChildMessage,
    Completed,
    FileGrew,
    FileReady,
    Playable,
    Probed,
    Progress,
    RungReady,
)
from packager.hls.release import Release
from packager.ladder import Rung, rungs_of
from packager.limits import Limits
from packager.sound.aac import AacSound, encode_aac
from packager.sound.fingerprint import fingerprint
from packager.sound.loudness import gain_db
from packager.sound.measure import Measured, measure

Emit = Callable[[ChildMessage], None]


class Session:
    """Packages one clip into `out_dir`. `run` blocks until it is done; raises RefusedInput or lets errors through."""

    def __init__(
        self, inputs: Inputs, out_dir: Path, *, edits: Edits, limits: Limits, revision: int, emit: Emit
    ) -> None:
        self._inputs = inputs
        self._out = out_dir
        self._edits = edits
        self._limits = limits
        self._emit = emit
        self._release = Release(out_dir, revision=revision)
        self._progress = _Progress(emit)
        self._cpus = limits.threads or len(os.sched_getaffinity(0))
        self._held: list[tuple[int, av.VideoFrame]] | None = None
        """Decoded pictures kept for the later waves when they fit the budget."""

    def run(self) -> None:
        scene = build_scene(self._inputs, edits=self._edits, limits=self._limits, out_dir=self._out)
        self._emit(Probed(source=scene.own.seen.info))
        rungs = rungs_of(scene.width, scene.height, scene.rate, scene.total)
        self._progress.plan(rungs)
        if len(rungs) > 1 and scene.picture_bytes * scene.total <= self._limits.frame_memory_bytes:
            self._held = []
        measured, sound = self._sound(scene)
        plan = _Plan(scene=scene, sound=sound)
        self._release.describe(
            MediaManifest(
                duration_ms=round(scene.duration_s * 1000),
                width=rungs[-1].width,
                height=rungs[-1].height,
                frame_rate=float(scene.rate),
                has_audio=sound is not None,
                renditions=(),
                start_playlist="",
                thumbhash="",
                loudness_lufs=measured.loudness.integrated_lufs if measured else None,
            )
        )
        gallery = self._first_wave(plan, rungs[0], measured)
        with ThreadPoolExecutor(1, thread_name_prefix="stills") as beside:
            stills = beside.submit(self._later_stills, gallery, measured, float(scene.duration_s))
            self._later_waves(plan, rungs[1:])
            self._finish_stills(stills.result())
        shutil.rmtree(self._out / SCRATCH, ignore_errors=True)
        self._emit(Completed(manifest=self._release.manifest()))

    def _sound(self, scene: Scene) -> tuple[Measured | None, AacSound | None]:
        """Two passes over the mix: measure, then level and encode."""
        blocks = scene.sound()
        if blocks is None:
            return None, None
        measured = measure(blocks)
        self._progress.stage("sound", 0.5)
        again = scene.sound()
        assert again is not None
        sound = encode_aac(again, gain_db=gain_db(measured.loudness))
        self._progress.stage("sound", 1.0)
        return measured, sound

    def _first_wave(self, plan: _Plan, rung: Rung, measured: Measured | None) -> Gallery:
        """The lowest rung and all stills: after it the clip is playable."""
        pick = self._edits.thumbnail_ms
        scene = plan.scene
        poster_at = None if pick is None else int(pick * scene.rate / 1000)
        gallery = Gallery(total=scene.total, rate=scene.rate, poster_at=poster_at)
        self._wave(plan, [rung], gallery.see, lambda _: None)
        assert gallery.poster_source is not None
        poster = write_poster(self._out, gallery.poster_source, scene.spec, (scene.width, scene.height))
        self._release.amend(thumbhash=poster.thumbhash)
        self._file(poster.name)
        self._publish()
        self._emit(Playable(manifest=self._release.manifest()))
        self._analysis(gallery, measured)
        return gallery

    def _later_stills(self, gallery: Gallery, measured: Measured | None, duration_s: float) -> _Later:
        """Runs beside the later waves; touches no shared state."""
        return _Later(
            names=write_later_stills(self._out, gallery, duration_s=duration_s),
            frame_hashes=frame_hashes(gallery.analysis_frames()),
            fingerprint=fingerprint(measured.fingerprint_pcm) if measured else None,
        )

    def _finish_stills(self, later: _Later) -> None:
        self._release.amend(frame_hashes=later.frame_hashes, audio_fingerprint=later.fingerprint)
        for name in later.names:
            self._file(name)
        self._publish()

    def _later_waves(self, plan: _Plan, rungs: tuple[Rung, ...]) -> None:
        if rungs:
            self._wave(plan, list(rungs), _no_tap, lambda _: self._rung_ready())

    def _rung_ready(self) -> None:
        self._publish()
        self._emit(RungReady(manifest=self._release.manifest()))

    def _wave(self, plan: _Plan, rungs: list[Rung], tap: Tap, made: Callable[[Rung], None]) -> None:
        jobs = [self._job(plan, rung, top=rung is rungs[-1]) for rung in rungs]
        # Down to half and less, averaging areas is as good as bicubic and takes 60 % of its time.
        small = 2 * min(rungs[-1].width, rungs[-1].height) <= min(plan.scene.width, plan.scene.height)
        interpolation = Interpolation.AREA if small else Interpolation.BICUBIC
        pictures = self._counted(plan, rungs)
        for rung, layout, avcc in run_wave(pictures, jobs, plan.scene.spec, tap, interpolation=interpolation):
            for name in self._release.add_rung(rung, layout, avcc, plan.sound):
                self._file(name)
            made(rung)

    def _job(self, plan: _Plan, rung: Rung, *, top: bool) -> RungJob:
        name = f"{rung.name}.mp4"
        return RungJob(
            rung=rung,
            colour=plan.scene.spec.colour,
            sound=plan.sound,
            out_dir=self._out,
            threads=self._cpus if top else 1,
            grown=lambda size, final: self._emit(FileGrew(name=name, size_bytes=size, final_from=final)),
        )

    def _counted(self, plan: _Plan, rungs: list[Rung]) -> Iterator[tuple[int, av.VideoFrame]]:
        for index, picture in self._held or self._decoded(plan.scene):
            yield index, picture
            if index % 8 == 0:
                self._progress.encoded(rungs, index / plan.scene.total)
        self._progress.encoded(rungs, 1.0)

    def _decoded(self, scene: Scene) -> Iterator[tuple[int, av.VideoFrame]]:
        for index, picture in scene.pictures(threads=self._cpus):
            if self._held is not None:
                self._held.append((index, picture))
            yield index, picture

    def _publish(self) -> None:
        for name in self._release.publish():
            self._file(name)

    def _analysis(self, gallery: Gallery, measured: Measured | None) -> None:
        folder = self._out / "analysis"
        folder.mkdir(exist_ok=True)
        np.save(folder / "frames.npy", gallery.analysis_frames(), allow_pickle=False)
        audio = folder / "audio_16k.npy"
        if measured is not None:
            np.save(audio, measured.analysis, allow_pickle=False)
        self._emit(Analysis(frames_path=str(folder / "frames.npy"), audio_path=str(audio) if measured else None))

    def _file(self, name: str) -> None:
        size = (self._out / name).stat().st_size
        self._release.note(name, size)
        self._emit(FileReady(name=name, size_bytes=size, content_type=CONTENT_TYPES[Path(name).suffix]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """All that is decided before the first picture is encoded."""

    scene: Scene
    sound: AacSound | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Later:
    """What is made beside the later waves."""

    names: tuple[str, ...]
    frame_hashes: tuple[str, ...]
    fingerprint: str | None


def _no_tap(index: int, picture: av.VideoFrame, shaped: av.VideoFrame) -> None:
    """The later waves feed rungs only."""


class _Progress:
    """Turns work done into one fraction that never falls. Work is counted in pixels encoded, roughly CPU time."""

    _SOUND_SHARE = 0.03

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._total = 1.0
        self._done = 0.0
        self._last = 0.0

    def plan(self, rungs: tuple[Rung, ...]) -> None:
        self._total = sum(_work(rung) for rung in rungs)

    def stage(self, stage: str, part: float) -> None:
        self._report(stage, self._SOUND_SHARE * part)

    def encoded(self, rungs: list[Rung], part: float) -> None:
        """`part` of the pictures of these rungs is encoded; at 1 they count as done."""
        work = sum(_work(rung) for rung in rungs)
        now = self._done + work * part
        if part >= 1:
            self._done += work
        stage = "first-rung" if now <= work else "rungs"
        self._report(stage, self._SOUND_SHARE + (0.99 - self._SOUND_SHARE) * now / self._total)

    def _report(self, stage: str, fraction: float) -> None:
        if fraction >= self._last + 0.005 or fraction >= 0.99:
            self._last = max(self._last, fraction)
            self._emit(Progress(stage=stage, fraction=round(self._last, 4)))


def _work(rung: Rung) -> float:
    return rung.width * rung.height * rung.total_frames + 0.1
