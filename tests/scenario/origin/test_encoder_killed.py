"""kill -9 of the encoder at ten random instants, and of its worker at two: every job ends right, once, and whole."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import psutil
import pytest

from foundation.stores.objects import open_objects
from foundation.wire.media import MediaManifest
from origin.lifecycle.object_keys import originals_prefix, revision_prefix, video_prefix
from origin.settings import OriginSettings
from tests.integration.packager.making import AAC, H264, make
from tests.origin_harness import Origin, Person
from tests.scenario.origin.saved_settings import save
from tests.scenario.origin.test_no_zombies import all_quiet
from tests.scenario.origin.victims import Victims, victims

KILLS, VIDEOS = 10, 4
_RUNGS = ("360p", "480p")


@pytest.fixture
def settings(settings: OriginSettings) -> OriginSettings:
    return msgspec.structs.replace(settings, jobs_at_once=2)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two rungs' worth of moving picture, a second and a half."""
    path = make(tmp_path_factory.mktemp("clip") / "in.mp4", *H264, *AAC, size="480x854", seconds=1.5)
    return path.read_bytes()


@pytest.mark.timeout(600)
async def test_ten_kills_of_encoders_and_two_of_their_workers(origin: Origin, tmp_path: Path, clip: bytes) -> None:
    ada = await origin.person()
    config = save(origin.settings, tmp_path / "settings.msgpack")
    stages: Counter[str] = Counter()
    videos: list[str] = []
    async with victims("real_worker", str(config), count=1) as workers:
        while sum(stages.values()) < KILLS:
            videos += [await origin.upload(ada, clip) for _ in range(VIDEOS - await unfinished(origin, ada, videos))]
            if (stage := await kill_an_encoder(origin, ada, workers)) is None:
                continue
            stages[stage] += 1
            if sum(stages.values()) in (4, 8):
                await workers.kill_one()
        for video_id in videos:
            await origin.until(ada, video_id, lambda now: now["progress"] == 1, timeout_s=240)
        await origin.eventually(lambda: all_quiet(origin), timeout_s=120)
        await origin.eventually(lambda: swept(origin.settings.scratch_dir), timeout_s=60)
    print(f"encoders killed while: {dict(stages)}; {len(videos)} videos")
    await check(origin, videos)


async def unfinished(origin: Origin, who: Person, videos: list[str]) -> int:
    states = [await origin.ok("GET", f"/api/v1/videos/{video_id}/status", who) for video_id in videos]
    return sum(status["progress"] < 1 for status in states)


async def kill_an_encoder(origin: Origin, who: Person, workers: Victims) -> str | None:
    """At a random instant of a random encoder's life: its video's stage, by its row. None: it was done before."""
    encoders = [child for pid in workers.pids for child in psutil.Process(pid).children()]
    if not encoders:
        await asyncio.sleep(0.02)  # nothing announces the start of a process
        return None
    doomed = random.choice(encoders)
    await asyncio.sleep(random.uniform(0, 1.5))
    try:
        folder = Path(doomed.cwd()).parent.name
        doomed.kill()
    except psutil.NoSuchProcess:
        return None
    status = await origin.ok("GET", f"/api/v1/videos/{folder.split('-')[0]}/status", who)
    return str(status["stage"])


async def swept(scratch: Path) -> bool:
    return not await asyncio.to_thread(lambda: list(scratch.glob("*")))


async def check(origin: Origin, videos: list[str]) -> None:
    """Every video is out with all its files, was announced once, and nothing else is in the bucket."""
    connection = await asyncpg.connect(str.__str__(origin.settings.postgres[0].dsn))
    expected: set[str] = set()
    for video_id in videos:
        row = await connection.fetchrow(
            "select state, complete, ready_revision, revision, original_key, manifest from videos where id = $1",
            int(video_id),
        )
        assert (row["state"], row["complete"], row["revision"]) == ("ready", True, row["ready_revision"])
        manifest = msgspec.json.decode(row["manifest"], type=MediaManifest)
        assert tuple(rung.name for rung in manifest.renditions) == _RUNGS
        prefix = revision_prefix(int(video_id), row["ready_revision"])
        expected |= {row["original_key"], prefix + "manifest.json", *(prefix + name for name in manifest.files)}
        assert await told(connection, video_id) == 1, video_id
        await check_playable(origin, video_id, manifest)
    assert await connection.fetchval("select count(*) from videos") == len(videos)
    await connection.close()
    async with open_objects(origin.settings.objects) as objects:
        stored = {
            found.key
            for video_id in videos
            for prefix in (video_prefix(int(video_id)), originals_prefix(int(video_id)))
            for found in await objects.list_prefix(prefix)
        }
    assert stored == expected


async def told(connection: Any, video_id: str) -> int:
    """Notifications to the uploader that this video is ready."""
    return int(
        await connection.fetchval(
            "select count(*) from notifications where kind = 'video-ready' and payload->>'videoId' = $1", video_id
        )
    )


async def check_playable(origin: Origin, video_id: str, manifest: MediaManifest) -> None:
    for rung in manifest.renditions:
        status, body = await origin.call("GET", f"/videos/us-east/{video_id}/{rung.name}.mp4")
        assert (status, len(body)) == (200, rung.size_bytes)
