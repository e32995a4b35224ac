"""Jobs in Postgres: enqueued in the transaction of the change that causes them, claimed with SKIP LOCKED and a lease.

A job that raises is tried again with exponential backoff up to `max_attempts`; one whose worker vanished comes back
when its lease ends, and whoever claims it after `max_lost` of those gives it up, which is work under a lease too. Given
up means state `failed`: kept for the operator's queue. A finished job is deleted. Why not pgqueuer:
docs/decisions/0601-own-job-queue.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from foundation.stores.errors import LeaseLost, ShardUnavailable
from foundation.stores.postgres import Connection, Shards, affected
from foundation.stores.shard_map import Family, shard_of

_ENQUEUE = """
insert into jobs (kind, key, family, shard, payload, priority, run_at)
values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
on conflict (kind, key) where state in ('queued', 'running') do nothing"""

# Two index scans instead of one with OR: a queued job that is due, else a running one whose lease has ended.
_CLAIM = """
update jobs set state = 'running', attempts = attempts + 1, worker = $2, lease_token = gen_random_uuid(),
    lease_until = now() + make_interval(secs => $3), updated_at = now()
where id = (
    select id from jobs where state = 'queued' and kind = any($1) and run_at <= now()
    order by priority desc, run_at limit 1 for update skip locked)
returning id, kind, key, family, shard, payload, attempts, lost, lease_token"""
_RECLAIM = """
update jobs set state = 'queued', lost = lost + 1, lease_token = null, lease_until = null, worker = null,
    error = coalesce(error, 'the worker vanished'), run_at = now(), updated_at = now()
where id in (
    select id from jobs where state = 'running' and lease_until < now() and kind = any($1) for update skip locked)"""
_HEARTBEAT = """
update jobs set lease_until = now() + make_interval(secs => $3), updated_at = now()
where id = $1 and lease_token = $2"""
_FINISH = "delete from jobs where id = $1 and lease_token = $2"
_FAIL = """
update jobs set state = $3, error = $4, run_at = now() + make_interval(secs => $5), lease_token = null,
    lease_until = null, worker = null, updated_at = now()
where id = $1 and lease_token = $2"""
_RELEASE = """
update jobs set state = 'queued', attempts = attempts - 1, run_at = now(), lease_token = null, lease_until = null,
    worker = null, updated_at = now()
where id = $1 and lease_token = $2"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """`max_attempts` tries by error, `max_lost` by vanished worker; waits first_delay_s * factor ** (attempt - 1)."""

    max_attempts: int = 3
    max_lost: int = 10
    first_delay_s: float = 2.0
    factor: float = 4.0

    def delay_s(self, attempt: int) -> float:
        return float(self.first_delay_s * self.factor ** (attempt - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A claimed job. Holding it means holding its lease until `lease_s` after the last heartbeat."""

    id: Any
    server: str
    kind: str
    key: str
    payload: dict[str, Any]
    attempt: int
    lost: int
    token: Any


async def enqueue(
    connection: Connection,
    *,
    kind: str,
    key: str,
    family: Family,
    snowflake: int,
    payload: dict[str, Any] | None = None,
    priority: int = 0,
    delay_s: float = 0.0,
) -> bool:
    """Add a job inside the caller's transaction; False if one with this kind and key is already live."""
    status = await connection.execute(
        _ENQUEUE,
        kind,
        key,
        str(family),
        shard_of(family, snowflake),
        msgspec.json.encode(payload or {}).decode(),
        priority,
        delay_s,
    )
    return affected(status) == 1


async def cancel(connection: Connection, *, kind: str, key: str) -> bool:
    """Drop the live job of this kind and key; a worker that runs it loses its lease. True if there was one."""
    status = await connection.execute(
        "delete from jobs where kind = $1 and key = $2 and state in ('queued', 'running')", kind, key
    )
    return affected(status) > 0


class JobQueue:
    """The jobs of all servers, for one worker."""

    def __init__(
        self, shards: Shards, *, worker: str, lease_s: float = 30.0, policy: RetryPolicy | None = None
    ) -> None:
        self._shards = shards
        self._worker = worker
        self.lease_s = lease_s
        self.policy = policy or RetryPolicy()
        self._turn = 0

    async def claim(self, kinds: tuple[str, ...]) -> Job | None:
        """The next due job of any server, or None. Servers take turns so that none starves; absent ones are skipped."""
        names = list(self._shards.servers)
        self._turn += 1
        for index in range(len(names)):
            name = names[(self._turn + index) % len(names)]
            try:
                async with self._shards.servers[name].primary() as connection:
                    row = await connection.fetchrow(_CLAIM, list(kinds), self._worker, self.lease_s)
            except ShardUnavailable:
                continue
            if row is not None:
                return Job(
                    id=row["id"],
                    server=name,
                    kind=row["kind"],
                    key=row["key"],
                    payload=msgspec.json.decode(row["payload"]),
                    attempt=row["attempts"] - row["lost"],
                    lost=row["lost"],
                    token=row["lease_token"],
                )
        return None

    async def reclaim(self, kinds: tuple[str, ...]) -> int:
        """Queue again what vanished workers held; returns how many jobs that were."""
        found = 0
        for server in self._shards.servers.values():
            try:
                async with server.primary() as connection:
                    found += affected(await connection.execute(_RECLAIM, list(kinds)))
            except ShardUnavailable:
                continue
        return found

    def worn_out(self, job: Job) -> bool:
        """Its workers have vanished so often that it is to be given up, not run."""
        return job.lost >= self.policy.max_lost

    async def heartbeat(self, job: Job) -> None:
        """Extend the lease. Raises LeaseLost if another worker has the job or it was cancelled."""
        async with self._shards.servers[job.server].primary() as connection:
            status = await connection.execute(_HEARTBEAT, job.id, job.token, self.lease_s)
        if affected(status) != 1:
            raise LeaseLost(f"job {job.kind} {job.key} went to another worker or was cancelled")

    async def finish(self, job: Job, *, connection: Connection | None = None) -> None:
        """Remove a done job, in the caller's transaction if one is given. Raises LeaseLost (and so rolls it back)."""
        if connection is not None:
            status = await connection.execute(_FINISH, job.id, job.token)
        else:
            async with self._shards.servers[job.server].primary() as own:
                status = await own.execute(_FINISH, job.id, job.token)
        if affected(status) != 1:
            raise LeaseLost(f"job {job.kind} {job.key} went to another worker or was cancelled")

    async def fail(self, job: Job, error: str, *, retryable: bool) -> bool:
        """Record a failure: again after a backoff, or given up. Returns True when given up. Raises LeaseLost."""
        given_up = not retryable or job.attempt >= self.policy.max_attempts
        async with self._shards.servers[job.server].primary() as connection:
            status = await connection.execute(
                _FAIL,
                job.id,
                job.token,
                "failed" if given_up else "queued",
                error[:2000],
                0.0 if given_up else self.policy.delay_s(job.attempt),
            )
        if affected(status) != 1:
            raise LeaseLost(f"job {job.kind} {job.key} went to another worker or was cancelled")
        return given_up

    async def release(self, job: Job) -> None:
        """Hand an unfinished job back at once, not counting the try: the worker stops."""
        async with self._shards.servers[job.server].primary() as connection:
            await connection.execute(_RELEASE, job.id, job.token)

    async def depth(self) -> dict[tuple[str, str], int]:
        """Jobs by (kind, state) over all servers, for metrics and autoscaling."""
        total: dict[tuple[str, str], int] = {}
        for server in self._shards.servers.values():
            try:
                async with server.primary() as connection:
                    rows = await connection.fetch("select kind, state, count(*) as n from jobs group by 1, 2")
            except ShardUnavailable:
                continue
            for row in rows:
                total[row["kind"], row["state"]] = total.get((row["kind"], row["state"]), 0) + row["n"]
        return total
