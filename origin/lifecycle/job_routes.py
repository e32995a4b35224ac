"""Operators' routes of processing: the queue with what has failed, trying again, making a vector anew. All audited."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta

from foundation.errors import BadInput
from foundation.http.endpoint import Access, Call, endpoint
from foundation.ids import VideoId
from foundation.stores.job_ledger import Beside, JobBusy, JobEntry, JobLedger, UnknownJob
from foundation.stores.job_queue import enqueue
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family
from foundation.wire import Wire
from origin.audit import Act, act_of, note
from origin.errors import StateConflict, UnknownVideo
from origin.lifecycle.routes import status_of
from origin.lifecycle.video_store import EMBED_JOB, PACKAGE_JOB, VideoStore
from origin.pages import Cursor, decode_cursor, encode_cursor
from origin.uploads.messages import VideoStatus

_JOB = {"jobId": {"format": "uuid"}}


class JobQuery(Wire, frozen=True, kw_only=True):
    state: Literal["failed", "queued", "running"] = "failed"
    kind: Annotated[str, Meta(max_length=40)] | None = None
    """package, sound, erase, sweep, publish, embed ...; left out: all."""
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: Cursor = ""


class JobView(Wire, frozen=True, kw_only=True):
    id: str
    kind: str
    key: str
    """What it is about: the id of a video, a sound or a user."""
    state: str
    attempts: int
    lost: int
    """Times its worker vanished."""
    error: str | None
    """Of the last try, for operators."""
    worker: str | None
    run_at_ms: int
    created_at_ms: int
    updated_at_ms: int


class JobPageView(Wire, frozen=True, kw_only=True):
    jobs: tuple[JobView, ...]
    next_cursor: str | None = None
    partial: bool = False
    """Part of the database did not answer: there may be more."""


class JobRoutes:
    def __init__(self, *, shards: Shards, videos: VideoStore) -> None:
        self._shards = shards
        self._ledger = JobLedger(shards)
        self._videos = videos

    @endpoint(
        "GET",
        "/api/v1/admin/jobs",
        summary="Jobs that failed, wait or run; changed last first",
        query=JobQuery,
        reply=JobPageView,
        access=Access.OPERATOR,
    )
    async def jobs(self, call: Call[None]) -> JobPageView:
        query: JobQuery = call.query
        found = await self._ledger.page(
            state=query.state, kind=query.kind, after=_place(query.cursor), limit=query.limit + 1
        )
        shown = found.jobs[: query.limit]
        return JobPageView(
            jobs=tuple(_view(job) for job in shown),
            next_cursor=_cursor(shown[-1]) if len(found.jobs) > query.limit else None,
            partial=found.partial,
        )

    @endpoint(
        "POST",
        "/api/v1/admin/jobs/{jobId}/retry",
        summary="Try a failed job again",
        status=204,
        access=Access.OPERATOR,
        path_schemas=_JOB,
        problems=(UnknownJob, JobBusy, StateConflict),
    )
    async def retry_job(self, call: Call[None]) -> None:
        """With all its tries. A failed video is set to processing; its uploader is told how that ends."""
        job_id = _job_id(call)
        _, job = await self._ledger.find(job_id)
        if job.kind == PACKAGE_JOB:
            await self._videos.reprocess(VideoId(int(job.key)), act=_act(call, "retry-job", job))
        else:
            await self._ledger.retry(job_id, beside=_noted(call, "retry-job"))

    @endpoint(
        "DELETE",
        "/api/v1/admin/jobs/{jobId}",
        summary="Let a failed job go",
        status=204,
        access=Access.OPERATOR,
        path_schemas=_JOB,
        problems=(UnknownJob, JobBusy),
    )
    async def forget_job(self, call: Call[None]) -> None:
        """What it was about stays as it is."""
        await self._ledger.forget(_job_id(call), beside=_noted(call, "forget-job"))

    @endpoint(
        "POST",
        "/api/v1/admin/videos/{id}/reprocess",
        summary="Process a failed video again",
        reply=VideoStatus,
        access=Access.OPERATOR,
        problems=(UnknownVideo, StateConflict),
    )
    async def reprocess_video(self, call: Call[None]) -> VideoStatus:
        video = await self._videos.get(VideoId(call.path_id("id")))
        detail = {"was": str(video.state), "error": video.error_code}
        act = act_of(call, "reprocess", f"video:{video.id}", detail)
        return status_of(await self._videos.reprocess(video.id, act=act))

    @endpoint(
        "POST",
        "/api/v1/admin/videos/{id}/embedding",
        summary="Make the vector of a video anew",
        status=202,
        access=Access.OPERATOR,
        problems=(UnknownVideo, StateConflict),
    )
    async def regenerate_embedding(self, call: Call[None]) -> VideoStatus:
        """By a job; PoPs learn the new vector by the catalogue's log. Asked again meanwhile, it stays one job."""
        video = await self._videos.get(VideoId(call.path_id("id")))
        if not video.served:
            raise StateConflict("only a video that is out has a vector to make anew")
        async with self._shards.write(Family.VIDEO, video.id) as connection:
            await enqueue(connection, kind=EMBED_JOB, key=str(video.id), family=Family.VIDEO, snowflake=video.id)
            await note(connection, act_of(call, "regenerate-embedding", f"video:{video.id}"))
        return status_of(video)


def _act(call: Call[Any], action: str, job: JobEntry) -> Act:
    return act_of(call, action, f"{job.kind}:{job.key}", {"job": str(job.id), "error": job.error})


def _noted(call: Call[Any], action: str) -> Beside:
    return lambda connection, job: note(connection, _act(call, action, job))


def _job_id(call: Call[Any]) -> UUID:
    try:
        return UUID(call.path("jobId"))
    except ValueError as err:
        raise BadInput("a job's id is a UUID") from err


def _cursor(job: JobEntry) -> str:
    updated_at, job_id = job.place
    return encode_cursor((int(updated_at.timestamp() * 1_000_000), str(job_id)))


def _place(cursor: str) -> tuple[dt.datetime, UUID] | None:
    """Raises BadInput."""
    key = decode_cursor(cursor, tuple[int, str])
    if key is None:
        return None
    try:
        return dt.datetime.fromtimestamp(0, tz=dt.UTC) + dt.timedelta(microseconds=key[0]), UUID(key[1])
    except (ValueError, OverflowError) as err:
        raise BadInput("cursor: this is not one we gave; begin without it") from err


def _view(job: JobEntry) -> JobView:
    return JobView(
        id=str(job.id),
        kind=job.kind,
        key=job.key,
        state=job.state,
        attempts=job.attempts,
        lost=job.lost,
        error=job.error,
        worker=job.worker,
        run_at_ms=_ms(job.run_at),
        created_at_ms=_ms(job.created_at),
        updated_at_ms=_ms(job.updated_at),
    )


def _ms(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)
