"""A worker's loop: claim, keep the lease, run, record the outcome. One runner holds `at_once` jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from foundation.errors import PopreelError
from foundation.ids import VideoId
from foundation.stores.errors import LeaseLost
from foundation.stores.job_queue import Job, JobQueue
from foundation.stores.listener import Listener
from foundation.tasks import end_tasks
from origin.accounts.account_store import AccountStore
from origin.accounts.erasure import ERASE_USER_JOB, Erasure
from origin.lifecycle.video_store import EMBED_JOB, ERASE_JOB, PACKAGE_JOB, PUBLISH_JOB, SWEEP_JOB, VideoStore
from origin.metrics import WorkerMetrics
from origin.packaging.erasing import Erasing
from origin.packaging.pipeline import Pipeline, Superseded, unwrapped
from origin.packaging.scratch import Scratch
from origin.packaging.sound_making import SoundMaking
from origin.sounds.sound_store import SOUND_JOB
from origin.stores import JOBS_CHANNEL
from packager.errors import RefusedInput

_log = logging.getLogger(__name__)
_BROKE = (
    "processing this video broke on our side, several times; operators have been told. Try uploading it again later."
)
_POLL_S = 1.0  # scheduled and retried jobs come due without a notification
LIGHT_KINDS = (ERASE_JOB, PUBLISH_JOB, SWEEP_JOB, EMBED_JOB, ERASE_USER_JOB)
ALL_KINDS = (PACKAGE_JOB, SOUND_JOB, *LIGHT_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    queue: JobQueue
    pipeline: Pipeline
    sound_making: SoundMaking
    scratch: Scratch
    erasing: Erasing
    erasure: Erasure
    videos: VideoStore
    accounts: AccountStore
    listeners: Sequence[Listener]
    metrics: WorkerMetrics
    at_once: int

    async def run(self) -> None:
        """Work until cancelled. One extra lane takes the light jobs only: an erase never waits behind an encode."""
        lanes = [self._lane(ALL_KINDS) for _ in range(self.at_once)]
        tasks = [asyncio.create_task(work) for work in (*lanes, self._lane(LIGHT_KINDS), self._watch_over())]
        try:
            await asyncio.gather(*tasks)
        finally:
            await end_tasks(tasks)

    async def _lane(self, kinds: tuple[str, ...]) -> None:
        async with _woken_by(self.listeners) as wake:
            while True:
                job = await self._claim(kinds)
                if job is not None:
                    await self._run(job)
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_S):
                        await wake()

    async def _claim(self, kinds: tuple[str, ...]) -> Job | None:
        try:
            return await self.queue.claim(kinds)
        except Exception as err:  # a lane must outlive whatever the database does
            _log.warning("claim failed", extra={"event": "claim_failed", "cause": repr(err)})
            await asyncio.sleep(_POLL_S)
            return None

    async def _run(self, job: Job) -> None:
        try:
            outcome = await self._attempt(job)
        except LeaseLost:
            outcome = "lost"
        except asyncio.CancelledError:
            await asyncio.shield(self.queue.release(job))
            raise
        except Exception as err:  # recording the outcome failed: the lease ends and another try follows
            _log.warning("outcome not recorded", extra={"event": "job_unrecorded", "cause": repr(err)})
            outcome = "unrecorded"
        self.metrics.jobs.labels(job.kind, outcome).inc()
        _log.info("job ended", extra={"event": "job_ended", "kind": job.kind, "key": job.key, "outcome": outcome})

    async def _attempt(self, job: Job) -> str:
        """Run the job under its lease; returns the outcome, recorded. Raises LeaseLost."""
        if self.queue.worn_out(job):
            await self._give_up(job, "worker-lost", "processing was interrupted too often")
            await self.queue.fail(job, "worker-lost: its workers vanished", retryable=False)
            return "failed"
        try:
            finished = await self._under_lease(job, self._handler(job.kind))
        except Exception as raised:
            error = unwrapped(raised)
            if isinstance(error, (Superseded, LeaseLost)):
                with suppress(LeaseLost):
                    await self.queue.finish(job)
                return "superseded"
            return await self._failed(job, error)
        if not finished:
            await self.queue.finish(job)
        return "done"

    def _handler(self, kind: str) -> Callable[[Job], Awaitable[bool]]:
        handlers: dict[str, Callable[[Job], Awaitable[bool]]] = {
            PACKAGE_JOB: self._package,
            SOUND_JOB: self._sound,
            ERASE_JOB: self.erasing.erase,
            SWEEP_JOB: self._sweep,
            PUBLISH_JOB: self._publish,
            EMBED_JOB: self._embed,
            ERASE_USER_JOB: self._erase_user,
        }
        return handlers[kind]

    async def _under_lease(self, job: Job, handler: Callable[[Job], Awaitable[bool]]) -> bool:
        done = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_lease(job, done))
            try:
                finished = await handler(job)
            finally:
                done.set()  # rather than cancel the keeper: see tasks.py
        return finished

    async def _keep_lease(self, job: Job, done: asyncio.Event) -> None:
        """Heartbeat three times per lease; a database that is away for a moment costs nothing until the lease ends."""
        while not done.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self.queue.lease_s / 3):
                    await done.wait()
                    return
            try:
                await self.queue.heartbeat(job)
            except LeaseLost:
                raise
            except PopreelError as err:
                _log.warning("heartbeat missed", extra={"event": "heartbeat_missed", "cause": err.detail})

    async def _failed(self, job: Job, error: BaseException) -> str:
        refused = isinstance(error, RefusedInput)
        code = error.code if isinstance(error, PopreelError) else "internal"
        detail = error.detail if isinstance(error, RefusedInput) else _BROKE  # the rest is for the log and operators
        if not refused:
            _log.error("job broke", exc_info=error, extra={"event": "job_broke", "kind": job.kind, "key": job.key})
        last = refused or job.attempt >= self.queue.policy.max_attempts
        if last:
            await self._give_up(job, code, detail)
        if refused:
            await self.queue.finish(job)  # the uploader has the reason; nothing for an operator to do
            return "refused"
        given_up = await self.queue.fail(job, f"{code}: {error}", retryable=True)
        return "failed" if given_up else "retry"

    async def _give_up(self, job: Job, code: str, detail: str) -> None:
        """Tell whoever waits for the result that there will be none, and leave nothing half made."""
        if job.kind == PACKAGE_JOB:
            await self._give_up_video(job, code, detail)
        elif job.kind == SOUND_JOB:
            await self.sound_making.give_up(job, detail)

    async def _give_up_video(self, job: Job, code: str, detail: str) -> None:
        video = await self.videos.find(VideoId(int(job.key)))
        if video is not None:
            await self.videos.fail(video.id, revision=video.revision, code=code, detail=detail)
            await self.pipeline.erase_lost_revisions(video)

    async def _watch_over(self) -> None:
        """Bring back jobs of vanished workers, remove their scratch folders and publish queue depths."""
        while True:
            try:
                for name in await self.scratch.sweep():
                    _log.info("scratch swept", extra={"event": "scratch_swept", "folder": name})
                await self.queue.reclaim(ALL_KINDS)
                for (kind, state), count in (await self.queue.depth()).items():
                    self.metrics.jobs_waiting.labels(kind, state).set(count)
            except PopreelError as err:
                _log.info("overseer paused", extra={"event": "overseer_paused", "cause": err.detail})
            except Exception:
                _log.exception("overseer broke", extra={"event": "overseer_broke"})
            await asyncio.sleep(min(5.0, self.queue.lease_s / 3))

    async def _package(self, job: Job) -> bool:
        await self.pipeline.run(job)
        return False

    async def _sound(self, job: Job) -> bool:
        await self.sound_making.run(job)
        return False

    async def _sweep(self, job: Job) -> bool:
        await self.erasing.sweep(job)
        return False

    async def _publish(self, job: Job) -> bool:
        video = await self.videos.find(VideoId(int(job.key)))
        if video is not None:
            account = await self.accounts.get(video.owner_id)
            await self.videos.publish_scheduled(video.id, account.creator())
        return False

    async def _erase_user(self, job: Job) -> bool:
        await self.erasure.run(job)
        return False

    async def _embed(self, job: Job) -> bool:
        video = await self.videos.find(VideoId(int(job.key)))
        if video is not None:
            account = await self.accounts.get(video.owner_id)
            await self.pipeline.embedding.retry(video, account.creator())
        return False


class _woken_by:
    """`async with _woken_by(listeners) as wake: await wake()` returns when any server announces a job."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners
        self._event = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Callable[[], Awaitable[None]]:
        self._tasks = [asyncio.create_task(self._hear(listener)) for listener in self._listeners]
        return self._wait

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hear(self, listener: Listener) -> None:
        async with listener.watch(JOBS_CHANNEL) as watch:
            while True:
                if await watch.changed(timeout_s=3600):
                    self._event.set()

    async def _wait(self) -> None:
        await self._event.wait()
        self._event.clear()
