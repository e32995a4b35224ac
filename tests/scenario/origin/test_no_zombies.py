"""Deletes at random instants while workers are killed: what is deleted is gone everywhere, what is ready is whole."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import asyncpg

from foundation.stores.objects import open_objects
from origin.lifecycle.object_keys import originals_prefix, revision_prefix, video_prefix
from tests.origin_harness import CLIP, SERVICE, Origin, Person
from tests.scenario.origin.saved_settings import save
from tests.scenario.origin.victims import victims

UPLOADS = 50
_TRACES = """
select (select count(*) from videos where id = $1) + (select count(*) from video_counters where video_id = $1)
    + (select count(*) from uploads where video_id = $1) + (select count(*) from video_hashtags where video_id = $1)
    + (select count(*) from user_videos where video_id = $1)
    + (select count(*) from catalogue_items where video_id = $1)
    + (select count(*) from jobs where key = $1::text)"""


async def test_fifty_uploads_deletes_at_random_and_workers_killed(origin: Origin, tmp_path: Path) -> None:
    ada = await origin.person()
    config = save(origin.settings, tmp_path / "settings.msgpack")
    kept: set[str] = set()
    deleted: set[str] = set()

    async def one_video() -> None:
        await asyncio.sleep(random.uniform(0, 3))
        ticket = await origin.begin(ada)
        video_id = ticket["videoId"]
        doomed = random.random() < 0.6
        async with asyncio.TaskGroup() as both:
            both.create_task(finish(origin, ada, ticket))
            if doomed:
                await asyncio.sleep(random.uniform(0, 2.5))
                status, problem = await origin.call("DELETE", f"/api/v1/videos/{video_id}", ada)
                assert status == 204, problem
                deleted.add(video_id)
            else:
                kept.add(video_id)

    async with victims("quick_worker", str(config), count=2) as workers:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(workers.kill_times(5, pause_s=1.0))
            for _ in range(UPLOADS):
                tasks.create_task(one_video())
        for video_id in kept:
            await origin.until(ada, video_id, lambda status: status["progress"] == 1, timeout_s=90)
        await origin.eventually(lambda: all_quiet(origin), timeout_s=90)
    assert len(deleted) > UPLOADS / 4
    await check(origin, kept, deleted)


async def finish(origin: Origin, who: Person, ticket: Any) -> None:
    """Send and complete; a delete may make either fail, with an answer that says so."""
    status, _ = await origin.call("PUT", f"{ticket['uploadUrl']}?part=1", who, data=CLIP)
    if status == 200:
        body = {"title": "perhaps", "hashtags": ["zombie"]}
        path = f"/api/v1/videos/{ticket['videoId']}/upload/complete"
        status, _ = await origin.call("POST", path, who, json=body)
    assert status in (200, 404, 409, 503), status


async def all_quiet(origin: Origin) -> bool:
    """No job left, no record on its way."""
    connection = await asyncpg.connect(str.__str__(origin.settings.postgres[0].dsn))
    try:
        return bool(
            await connection.fetchval(
                """select (select count(*) from jobs) + (select count(*) from outbox) = 0
                   and (select min(seq) from log_positions) = (select max(seq) from outbox_log)"""
            )
        )
    finally:
        await connection.close()


async def check(origin: Origin, kept: set[str], deleted: set[str]) -> None:
    _, snapshot = await origin.call("GET", "/internal/v1/catalogue/snapshot", SERVICE)
    listed = {line.split('"id": "')[1].split('"')[0] for line in snapshot.decode().splitlines()[1:]}
    assert kept == {video_id for video_id in kept if any(video_id in line for line in snapshot.decode().splitlines())}
    assert not deleted & listed
    connection = await asyncpg.connect(str.__str__(origin.settings.postgres[0].dsn))
    async with open_objects(origin.settings.objects) as objects:
        for video_id in deleted:
            assert await connection.fetchval(_TRACES, int(video_id)) == 0, video_id
            assert await objects.list_prefix(video_prefix(int(video_id))) == []
            assert await objects.list_prefix(originals_prefix(int(video_id))) == []
            assert (await origin.call("GET", f"/videos/us-east/{video_id}/master.m3u8"))[0] == 404
        for video_id in kept:
            revision = await connection.fetchval("select ready_revision from videos where id = $1", int(video_id))
            keys = {info.key for info in await objects.list_prefix(video_prefix(int(video_id)))}
            prefix = revision_prefix(int(video_id), revision)
            names = ("poster.webp", "360p.mp4", "360p.m3u8", "480p.mp4", "480p.m3u8", "master.m3u8")
            assert keys == {prefix + name for name in names}, video_id
    await connection.close()
