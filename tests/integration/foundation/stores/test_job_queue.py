"""Jobs: commit with their cause, run once at a time, come back after errors and crashes, are given up in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from foundation.settings import Secret
from foundation.stores.errors import LeaseLost, MigrationError
from foundation.stores.job_queue import JobQueue, RetryPolicy, cancel, enqueue
from foundation.stores.migrations import Migration, migrate
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family, PostgresServer
from origin.migrate import migrate_all
from tests.polling import until

KINDS = ("work",)
POLICY = RetryPolicy(max_attempts=3, max_lost=2, first_delay_s=0.02, factor=2)


@pytest.fixture
def dsn(postgres_database: Callable[[], str]) -> str:
    return postgres_database()


@pytest.fixture
async def shards(dsn: str) -> AsyncIterator[Shards]:
    servers = (PostgresServer(name="pg1", dsn=Secret(dsn)),)
    await migrate_all(servers)
    shards = Shards(servers)
    await shards.open()
    yield shards
    await shards.close()


def queue(shards: Shards) -> JobQueue:
    return JobQueue(shards, worker="w", policy=POLICY)


async def add(shards: Shards, key: str, **options: object) -> bool:
    async with shards.write(Family.VIDEO, 1) as connection:
        return await enqueue(connection, kind="work", key=key, family=Family.VIDEO, snowflake=1, **options)  # type: ignore[arg-type]


async def test_a_job_exists_only_if_its_cause_commits_and_only_once(shards: Shards) -> None:
    async def rolled_back() -> None:
        async with shards.write(Family.VIDEO, 1) as connection:
            await enqueue(connection, kind="work", key="a", family=Family.VIDEO, snowflake=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await rolled_back()
    assert await queue(shards).claim(KINDS) is None
    assert [await add(shards, "a") for _ in range(3)] == [True, False, False]
    assert await queue(shards).claim(KINDS) is not None
    assert await add(shards, "a") is False  # running is live, too
    assert await queue(shards).claim(KINDS) is None


async def test_a_hundred_workers_share_fifty_jobs_without_doing_any_twice(shards: Shards) -> None:
    for number in range(50):
        await add(shards, str(number))
    done: list[str] = []

    async def worker() -> None:
        own = queue(shards)
        while (job := await own.claim(KINDS)) is not None:
            done.append(job.key)
            await own.finish(job)

    await asyncio.gather(*(worker() for _ in range(100)))
    assert sorted(done, key=int) == [str(number) for number in range(50)]


async def test_errors_are_tried_again_later_then_given_up(shards: Shards) -> None:
    await add(shards, "a", payload={"x": 1})
    own = queue(shards)
    for attempt in (1, 2, 3):
        job = await until(lambda: own.claim(KINDS), seconds=60)  # the backoff is in the database's clock
        assert (job.attempt, job.payload) == (attempt, {"x": 1})
        assert await own.fail(job, "boom", retryable=True) is (attempt == 3)
    assert await own.claim(KINDS) is None
    assert await own.depth() == {("work", "failed"): 1}
    assert await add(shards, "a") is True  # a failed one is history: the thing may be tried afresh


async def end_leases(shards: Shards) -> None:
    """Let every lease have ended a second ago, without waiting for it."""
    async with shards.control() as connection:
        await connection.execute("update jobs set lease_until = now() - interval '1 second' where state = 'running'")


async def test_a_vanished_worker_loses_its_job_and_can_write_nothing_more(shards: Shards) -> None:
    await add(shards, "a")
    slow, fast = queue(shards), queue(shards)
    lost = await slow.claim(KINDS)
    assert lost is not None
    await end_leases(shards)
    assert await fast.reclaim(KINDS) == 1
    again = await fast.claim(KINDS)
    assert again is not None
    assert (again.attempt, again.lost) == (1, 1)  # not held against the job's own tries
    for write in (slow.heartbeat(lost), slow.finish(lost), slow.fail(lost, "late", retryable=True)):
        with pytest.raises(LeaseLost):
            await write
    await fast.heartbeat(again)
    await fast.finish(again)


async def test_a_job_whose_workers_keep_vanishing_is_given_up(shards: Shards) -> None:
    await add(shards, "a")
    own = queue(shards)
    for lost in range(POLICY.max_lost + 1):
        job = await own.claim(KINDS)
        assert job is not None
        assert own.worn_out(job) is (lost == POLICY.max_lost)
        if not own.worn_out(job):
            await end_leases(shards)
            assert await own.reclaim(KINDS) == 1
    await own.fail(job, "its workers vanished", retryable=False)
    assert await own.depth() == {("work", "failed"): 1}


async def test_a_heartbeat_keeps_the_lease_and_a_cancel_takes_it(shards: Shards) -> None:
    await add(shards, "a")
    own = queue(shards)
    job = await own.claim(KINDS)
    assert job is not None
    for _ in range(4):
        await end_leases(shards)  # late, but nobody has taken the job yet
        await own.heartbeat(job)
        assert await own.reclaim(KINDS) == 0
    assert await own.claim(KINDS) is None
    async with shards.write(Family.VIDEO, 1) as connection:
        assert await cancel(connection, kind="work", key="a")
    with pytest.raises(LeaseLost):
        await own.heartbeat(job)


async def test_a_released_job_costs_no_try_and_urgent_ones_go_first(shards: Shards) -> None:
    await add(shards, "later")
    await add(shards, "now", priority=5)
    await add(shards, "tomorrow", delay_s=3600)
    own = queue(shards)
    job = await own.claim(KINDS)
    assert job is not None
    assert (job.key, job.attempt) == ("now", 1)
    await own.release(job)
    again = await own.claim(KINDS)
    assert again is not None
    assert (again.key, again.attempt) == ("now", 1)
    assert (await own.claim(KINDS)) is not None
    assert await own.claim(KINDS) is None


async def test_a_changed_migration_stops_the_next_one(dsn: str, shards: Shards) -> None:
    assert await migrate_all((PostgresServer(name="pg1", dsn=Secret(dsn)),)) == {"pg1": ()}
    with pytest.raises(MigrationError, match="changed after it was applied"):
        await migrate(dsn, (Migration(number=1, name="0001_stores.sql", sql="select 1"),))
    with pytest.raises(MigrationError, match="syntax"):
        await migrate(dsn, (Migration(number=9000, name="9000_bad.sql", sql="create table t (a int); nonsense"),))
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("select to_regclass('t')") is None  # all of a migration or nothing
    await connection.close()
