"""One packaging job inside the child: its lanes, and the release of what they make."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation

from foundation.wire.media import MediaManifest
from packager.edits import Edits
from packager.encoder.gallery import Gallery
from packager.encoder.halt import Halt, beside, waited
from packager.encoder.overflow import Overflow
from packager.encoder.pace import Pace
from packager.encoder.progress import ProgressMeter
from packager.encoder.rung_encoder import RungJob
from packager.encoder.scene import Inputs, Scene, build_scene
from packager.encoder.shape import SCRATCH
from packager.encoder.spool import Spool
from packager.encoder.stills import frame_hashes, poster_shaper, write_later_stills, write_poster
from packager.encoder.upper_lane import Made, UpperLane, upper_pictures
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
    RungReady,
)
from packager.hls.release import Release
from packager.ladder import Rung, rungs_of, threads_of
from packager.limits import Limits
from packager.sound.fingerprint import fingerprint
from packager.sound.measure import Measured
from packager.sound.soundtrack import Soundtrack, make_soundtrack

Emit = Callable[[ChildMessage], None]
FIRST_RUNG_SHARE = 0.36
"""Of the clip's length: until then the first rung may wait for the others. The goal for it is 0.4; what the pace does
not see (start, poster, a costlier end of the clip) needs the rest."""


class Session:
    """Packages one clip into `out_dir`. `run` blocks until it is done; raises RefusedInput or lets errors through.

    Three lanes run at once: the sound, the first rung with all stills (this thread), and the upper rungs, which stand
    back behind both. This thread alone releases files.
    """

    def __init__(
        self,
        inputs: Inputs,
        out_dir: Path,
        *,
        edits: Edits,
        limits: Limits,
        revision: int,
        assembly: str,
        emit: Emit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inputs = inputs
        self._out = out_dir
        self._edits = edits
        self._limits = limits
        self._assembly = assembly
        self._emit = emit
        self._clock = clock
        self._release = Release(out_dir, revision=revision)
        self._progress = ProgressMeter(emit)
        self._cpus = limits.threads or len(os.sched_getaffinity(0))
        self._halt = Halt()

    def run(self) -> None:
        scene = build_scene(self._inputs, edits=self._edits, limits=self._limits, out_dir=self._out)
        self._emit(Probed(source=scene.own.seen.info))
        rungs = rungs_of(scene.width, scene.height, scene.rate, scene.total)
        self._progress.plan(rungs)
        try:
            self._package(scene, rungs)
        except BaseException as err:
            self._halt.because(err)
            self._halt.check()  # an earlier failure elsewhere is the reason for this one
        shutil.rmtree(self._out / SCRATCH, ignore_errors=True)
        self._emit(Completed(manifest=self._release.manifest()))

    def _package(self, scene: Scene, rungs: tuple[Rung, ...]) -> None:
        sound = beside("sound", lambda: make_soundtrack(scene.sound, self._progress.sound), self._halt)
        plan = _Plan(scene=scene, rungs=rungs, sound=sound)
        upper, spool = self._upper_lane(plan) if len(rungs) > 1 else (None, None)
        gallery = self._first_rung(plan, spool)
        measured = sound.result().measured
        self._analysis(gallery, measured)
        stills = beside("stills", lambda: self._later_stills(gallery, measured, float(scene.duration_s)), self._halt)
        for made in upper.made() if upper is not None else ():
            self._add(plan, made)
            self._publish()
            self._emit(RungReady(manifest=self._release.manifest()))
        if spool is not None:
            spool.discard()
        self._finish_stills(waited(stills, self._halt))

    def _first_rung(self, plan: _Plan, spool: Spool | None) -> Gallery:
        """The lowest rung, poster and playlists: after it the clip is playable."""
        scene, rung = plan.scene, plan.rungs[0]
        pick = self._edits.thumbnail_ms
        gallery = Gallery(
            total=scene.total,
            rate=scene.rate,
            poster_at=None if pick is None else int(pick * scene.rate / 1000),
            poster_shaper=poster_shaper(scene.spec, (scene.width, scene.height)),
        )
        pictures = self._progress.counted("first-rung", self._first_pictures(scene, spool), [rung])
        for made in self._wave(plan, [rung], pictures, gallery.see):
            self._release.describe(_description(plan))
            self._add(plan, made)
        poster = write_poster(self._out, gallery)
        self._release.amend(thumbhash=poster.thumbhash)
        self._file(poster.name)
        self._publish()
        self._emit(Playable(manifest=self._release.manifest()))
        return gallery

    def _first_pictures(self, scene: Scene, spool: Spool | None) -> Iterator[tuple[int, av.VideoFrame]]:
        """Each picture, and into the spool once this lane is done with it: the other lane sets its fields."""
        index = -1
        for index, picture in scene.pictures(threads=self._cpus):
            yield index, picture
            if spool is not None:
                spool.put(index, picture)
        if index < 0:  # the survey had one of these pictures: what is new since then is a decoder with threads
            raise MemoryError("no picture can be decoded any more")
        if spool is not None:
            spool.close()

    def _upper_lane(self, plan: _Plan) -> tuple[UpperLane, Spool]:
        scene = plan.scene
        goal_s = FIRST_RUNG_SHARE * float(scene.duration_s)
        pace = Pace(total=scene.total, goal_s=goal_s, clock=self._clock)
        capacity = self._limits.frame_memory_bytes // scene.picture_bytes
        overflow = self._overflow(scene) if capacity else None
        spool = Spool(capacity=capacity, total=scene.total, halt=self._halt, pace=pace, overflow=overflow)
        if overflow is not None:
            beside("spill", spool.spill, self._halt)
        # Nobody waits for these pictures as for the first rung's: fewer threads decode for 5 % less processor time.
        pictures = upper_pictures(scene, spool, threads=max(1, self._cpus // 2))
        rungs = plan.rungs[1:]
        wave = self._wave(plan, rungs, self._progress.counted("rungs", pictures, rungs))
        return UpperLane(wave, self._halt), spool

    def _overflow(self, scene: Scene) -> Overflow | None:
        limit_bytes = self._limits.frame_disk_bytes
        if not limit_bytes:
            return None
        folder = self._out / SCRATCH
        folder.mkdir(exist_ok=True)
        return Overflow(folder, limit_bytes=limit_bytes, picture_bytes=scene.picture_bytes)

    def _wave(
        self, plan: _Plan, rungs: Sequence[Rung], pictures: Iterator[tuple[int, av.VideoFrame]], tap: Tap | None = None
    ) -> Iterator[Made]:
        threads = threads_of(rungs, self._cpus)
        jobs = [self._job(plan, rung, count) for rung, count in zip(rungs, threads, strict=True)]
        # Down to half and less, averaging areas is as good as bicubic and takes 60 % of its time.
        small = 2 * min(rungs[-1].width, rungs[-1].height) <= min(plan.scene.width, plan.scene.height)
        interpolation = Interpolation.AREA if small else Interpolation.BICUBIC
        return run_wave(pictures, jobs, plan.scene.spec, self._halt, tap=tap, interpolation=interpolation)

    def _job(self, plan: _Plan, rung: Rung, threads: int) -> RungJob:
        name = f"{rung.name}.mp4"
        return RungJob(
            rung=rung,
            colour=plan.scene.spec.colour,
            sound=plan.sound,
            out_dir=self._out,
            threads=threads,
            assembly=self._assembly,
            grown=lambda size, final: self._emit(FileGrew(name=name, size_bytes=size, final_from=final)),
        )

    def _add(self, plan: _Plan, made: Made) -> None:
        rung, layout, avcc = made
        for name in self._release.add_rung(rung, layout, avcc, plan.sound.result().aac):
            self._file(name)

    def _publish(self) -> None:
        for name in self._release.publish():
            self._file(name)

    def _later_stills(self, gallery: Gallery, measured: Measured | None, duration_s: float) -> _Later:
        """Runs beside the upper rungs; touches no shared state."""
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
    """All that is decided before the first picture is encoded, and the sound, which is made meanwhile."""

    scene: Scene
    rungs: tuple[Rung, ...]
    sound: Future[Soundtrack]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Later:
    """What is made beside the upper rungs."""

    names: tuple[str, ...]
    frame_hashes: tuple[str, ...]
    fingerprint: str | None


def _description(plan: _Plan) -> MediaManifest:
    """The manifest as far as it is known before a file is there; the sound must be made."""
    made = plan.sound.result()
    return MediaManifest(
        duration_ms=round(plan.scene.duration_s * 1000),
        width=plan.rungs[-1].width,
        height=plan.rungs[-1].height,
        frame_rate=float(plan.scene.rate),
        has_audio=made.aac is not None,
        renditions=(),
        start_playlist="",
        thumbhash="",
        loudness_lufs=made.measured.loudness.integrated_lufs if made.measured else None,
    )
