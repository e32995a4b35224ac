"""The operators' view of the job queue: what waits, runs and has failed, over all servers; trying again, letting go."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from foundation.errors import Conflict, NotFound
from foundation.stores.errors import ShardUnavailable
from foundation.stores.postgres import Connection, Shards, affected

_LIST = """
select id, kind, key, state, attempts, lost, error, worker, run_at, created_at, updated_at from jobs
where state = $1 and ($2::text is null or kind = $2) and (updated_at, id) < ($3, $4)
order by updated_at desc, id desc limit $5"""

# Not while another job for the same thing is live: the unique index would refuse it.
_RETRY = """
update jobs j set state = 'queued', attempts = 0, lost = 0, run_at = now(), updated_at = now()
where id = $1 and state = 'failed' and not exists (
    select 1 from jobs o where o.kind = j.kind and o.key = j.key and o.state in ('queued', 'running'))"""
_FIRST = (dt.datetime(9999, 1, 1, tzinfo=dt.UTC), UUID(int=2**128 - 1))


class UnknownJob(NotFound):
    code = "unknown-job"
    title = "No such job"


class JobBusy(Conflict):
    code = "job-busy"
    title = "This job does not wait for an operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEntry:
    """A row of `jobs`."""

    id: UUID
    kind: str
    key: str
    state: str
    attempts: int
    lost: int
    error: str | None
    worker: str | None
    run_at: dt.datetime
    created_at: dt.datetime
    updated_at: dt.datetime

    @property
    def place(self) -> tuple[dt.datetime, UUID]:
        """Where it stands in the list."""
        return self.updated_at, self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    jobs: tuple[JobEntry, ...]
    partial: bool
    """A server did not answer: there may be more."""


Beside: TypeAlias = Callable[[Connection, JobEntry], Awaitable[None]]
"""What else commits with a change of a job."""


class JobLedger:
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def page(
        self, *, state: str, kind: str | None, after: tuple[dt.datetime, UUID] | None, limit: int
    ) -> JobPage:
        """Those that changed last first, behind the place `after`. Every server is asked: jobs of users have theirs."""
        found: list[JobEntry] = []
        partial = False
        for server in self._shards.servers.values():
            try:
                async with server.primary() as connection:
                    rows = await connection.fetch(_LIST, state, kind, *(after or _FIRST), limit)
            except ShardUnavailable:
                partial = True
            else:
                found += [JobEntry(**dict(row)) for row in rows]
        found.sort(key=lambda job: job.place, reverse=True)
        return JobPage(jobs=tuple(found[:limit]), partial=partial)

    async def find(self, job_id: UUID) -> tuple[str, JobEntry]:
        """The job and the server that has it. Raises UnknownJob, ShardUnavailable."""
        for name, server in self._shards.servers.items():
            async with server.primary() as connection:
                row = await connection.fetchrow(
                    """select id, kind, key, state, attempts, lost, error, worker, run_at, created_at, updated_at
                       from jobs where id = $1""",
                    job_id,
                )
            if row is not None:
                return name, JobEntry(**dict(row))
        raise UnknownJob(f"there is no job {job_id} (any more)")

    async def retry(self, job_id: UUID, *, beside: Beside) -> None:
        """failed -> queued with all its tries. Raises UnknownJob, JobBusy."""
        name, job = await self.find(job_id)
        async with self._shards.servers[name].primary() as connection, connection.transaction():
            if affected(await connection.execute(_RETRY, job_id)) != 1:
                raise JobBusy("only a failed job is tried again, and not while another one does the same")
            await beside(connection, job)

    async def forget(self, job_id: UUID, *, beside: Beside) -> None:
        """Let a failed job go. Raises UnknownJob, JobBusy."""
        name, job = await self.find(job_id)
        async with self._shards.servers[name].primary() as connection, connection.transaction():
            status = await connection.execute("delete from jobs where id = $1 and state = 'failed'", job_id)
            if affected(status) != 1:
                raise JobBusy("only a failed job can be let go")
            await beside(connection, job)
