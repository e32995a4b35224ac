"""From an uploaded original to a published video: the `package` job."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from foundation.errors import PopreelError
from foundation.ids import VideoId
from foundation.stores.job_queue import Job, enqueue
from foundation.stores.objects import ObjectStore
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family
from foundation.wire.catalogue import Creator
from foundation.wire.media import MediaManifest
from origin.accounts.account_store import AccountStore
from origin.lifecycle.object_keys import revision_prefix
from origin.lifecycle.video import Video
from origin.lifecycle.video_store import SWEEP_JOB, VideoStore
from origin.media.answers import changes_within_revision, content_type
from origin.metrics import WorkerMetrics
from origin.packaging.embedding import Embedding
from origin.packaging.growing import GrowingFile
from origin.packaging.materials import MaterialFetcher
from origin.packaging.scratch import Scratch
from packager.edits import Edits
from packager.errors import PackagingFailed, RefusedInput
from packager.events import Analysis, Completed, Event, FileGrew, FileReady, Playable, Progress, RungReady
from packager.limits import Limits

_log = logging.getLogger(__name__)
_PROGRESS_EVERY_S = 0.5
_UPLOADS_AT_ONCE = 4
_IMMUTABLE = "public, max-age=31536000, immutable"

Package = Callable[..., AsyncIterator[Event]]
"""`packager.package`; an argument so that a test can hand in a shorter encoder."""


class Superseded(PopreelError):
    """The video was deleted or another worker took over: stop, erase, say nothing."""

    code = "superseded"
    title = "This work is no longer wanted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """One instance serves all jobs of a worker."""

    videos: VideoStore
    accounts: AccountStore
    objects: ObjectStore
    shards: Shards
    embedding: Embedding
    package: Package
    limits: Limits
    materials: MaterialFetcher
    scratch: Scratch
    timeout_s: float
    sweep_delay_s: float
    metrics: WorkerMetrics

    async def run(self, job: Job) -> None:
        """Process the video of `job`. Returns when done or when nothing is left to do.

        Raises RefusedInput (the file's fault), PackagingFailed or a store's error (try again), Superseded is handled.
        """
        video_id = VideoId(int(job.key))
        video = await self.videos.begin_processing(video_id)
        if video is None or video.original_key is None:
            return
        try:
            async with self.scratch.folder(str(video.id)) as folder:
                await self._process(video, folder)
        except BaseException:
            # failed, superseded or cancelled: whoever goes on writes another revision, this one is published no further
            await asyncio.shield(self.erase_lost_revisions(video))
            raise

    async def erase_lost_revisions(self, video: Video) -> None:
        """Remove the files of revisions that are not, and will not be, served: this one, and those before it whose
        workers were killed."""
        now = await self.videos.find(video.id)
        served = now.ready_revision if now is not None and now.ready_revision is not None else 0
        for revision in range(served + 1, video.revision + 1):
            await self.objects.delete_prefix(revision_prefix(video.id, revision))

    async def _process(self, video: Video, folder: Path) -> None:
        assert video.original_key is not None
        source = folder / "original"
        try:
            await self.objects.download(video.original_key, source)
        except FileNotFoundError as err:
            raise PackagingFailed("source", "the original is not in the object store") from err
        edits = msgspec.json.decode(video.edits, type=Edits)
        materials = await self.materials.fetch(video, edits, folder)
        account = await self.accounts.get(video.owner_id)
        async with asyncio.TaskGroup() as tasks:
            publishing = _Publishing(
                pipeline=self, video=video, creator=account.creator(), out=folder / "out", tasks=tasks
            )
            events = self.package(
                source,
                folder / "out",
                revision=video.revision,
                edits=edits,
                limits=self.limits,
                deadline_s=self.timeout_s,
                sound=materials.sound,
                partner=materials.partner,
            )
            async for event in events:
                await publishing.handle(event)


@dataclass(slots=True, kw_only=True)
class _Publishing:
    """Acts on the packager's events for one video."""

    pipeline: Pipeline
    video: Video
    creator: Creator
    out: Path
    tasks: asyncio.TaskGroup
    started_s: float = field(default_factory=time.monotonic)
    _uploads: set[asyncio.Task[None]] = field(default_factory=set)
    _late: dict[str, FileReady] = field(default_factory=dict)
    _growing: dict[str, tuple[GrowingFile, asyncio.Task[None]]] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_UPLOADS_AT_ONCE))
    _embedding: asyncio.Task[None] | None = None
    _progress_s: float = 0.0
    _out: bool = False
    """The first rung is published."""

    async def handle(self, event: Event) -> None:
        match event:
            case Progress():
                await self._progress(event)
            case FileGrew():
                self._file_grew(event)
            case FileReady():
                self._file_ready(event)
            case Analysis():
                audio = Path(event.audio_path) if event.audio_path else None
                self._embedding = self.tasks.create_task(
                    self.pipeline.embedding.embed(
                        self.video,
                        self.creator,
                        frames=self.out / event.frames_path,
                        audio=self.out / audio if audio else None,
                    )
                )
            case Playable() | RungReady():
                await self._playable(event.manifest)
            case Completed():
                await self._completed(event.manifest)
            case _:
                pass

    async def _progress(self, event: Progress) -> None:
        now_s = time.monotonic()
        if now_s - self._progress_s < _PROGRESS_EVERY_S:
            return
        self._progress_s = now_s
        wanted = await self.pipeline.videos.progress(
            self.video.id, revision=self.video.revision, stage=event.stage, fraction=event.fraction
        )
        if not wanted:
            raise Superseded

    def _file_grew(self, event: FileGrew) -> None:
        if event.name not in self._growing:
            growing = GrowingFile(
                objects=self.pipeline.objects,
                key=self._key(event.name),
                path=self.out / event.name,
                content_type=content_type(event.name),
                cache_control=_IMMUTABLE,
                slots=self._slots,
            )
            self._growing[event.name] = growing, self.tasks.create_task(growing.run())
        self._growing[event.name][0].grew(event.size_bytes, event.final_from)

    def _file_ready(self, event: FileReady) -> None:
        if event.name in self._growing:
            growing, task = self._growing[event.name]
            growing.finished(event.size_bytes)
            self._await_before_publishing(task)  # only now: one that still grows ends by events not read yet
        elif changes_within_revision(event.name):
            self._late[event.name] = event  # names the others: goes up after them
        else:
            self._await_before_publishing(self.tasks.create_task(self._upload(event)))

    def _await_before_publishing(self, upload: asyncio.Task[None]) -> None:
        self._uploads.add(upload)
        upload.add_done_callback(self._uploads.discard)

    def _key(self, name: str) -> str:
        return revision_prefix(self.video.id, self.video.revision) + name

    async def _upload(self, event: FileReady) -> None:
        async with self._slots:
            await self.pipeline.objects.put_file(
                self._key(event.name),
                self.out / event.name,
                content_type=event.content_type or content_type(event.name),
                cache_control=_IMMUTABLE,
            )

    async def _uploaded(self) -> None:
        """Wait until everything announced so far is in the store, the master last."""
        if self._uploads:
            await asyncio.wait(self._uploads)
        late, self._late = self._late, {}
        for event in late.values():
            await self._upload(event)

    async def _playable(self, manifest: MediaManifest) -> None:
        await self._uploaded()
        if self.video.ready_revision is not None:
            return  # something is out already: switch once, when all of this revision is there
        await self._publish(manifest, complete=False)

    async def _completed(self, manifest: MediaManifest) -> None:
        await self._uploaded()
        if self._embedding is not None:
            await self._embedding
        await self._publish(manifest, complete=True)
        self.pipeline.metrics.complete_s.observe(time.monotonic() - self.started_s)
        if self.video.revision > 1:
            async with self.pipeline.shards.write(Family.VIDEO, self.video.id) as connection:
                await enqueue(
                    connection,
                    kind=SWEEP_JOB,
                    key=str(self.video.id),
                    family=Family.VIDEO,
                    snowflake=self.video.id,
                    delay_s=self.pipeline.sweep_delay_s,
                )

    async def _publish(self, manifest: MediaManifest, *, complete: bool) -> None:
        published = await self.pipeline.videos.publish(
            self.video.id, revision=self.video.revision, manifest=manifest, creator=self.creator, complete=complete
        )
        if published is None:
            raise Superseded
        if not self._out:
            self._out = True
            self.pipeline.metrics.publish_s.observe(time.monotonic() - self.started_s)
        _log.info(
            "published",
            extra={
                "event": "video_published",
                "video_id": str(self.video.id),
                "revision": self.video.revision,
                "rungs": len(manifest.renditions),
                "complete": complete,
            },
        )


def unwrapped(error: BaseException) -> BaseException:
    """The one error of a TaskGroup's group that says what happened: a refusal before a failure before the rest."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [unwrapped(inner) for inner in error.exceptions]
    for kind in (RefusedInput, Superseded, PackagingFailed, PopreelError):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]
