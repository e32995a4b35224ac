"""An encoder that hangs is killed at the deadline, tried three times, then the uploader and the operators are told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil

from foundation.stores.objects import open_objects
from origin.lifecycle.object_keys import video_prefix
from packager import package
from popreel.embedded.object_store import ObjectStoreAccess
from tests.integration.origin.hearing import tone_clip
from tests.origin_harness import one_server, origin_settings, running


def encoders() -> list[psutil.Process]:
    """Of this process; one that just ended is none."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "packager.encoder.main" in child.cmdline():
                found.append(child)
    return found


@asynccontextmanager
async def freezing() -> AsyncIterator[set[int]]:
    """Inside, every encoder is stopped (SIGSTOP) as soon as it is seen; yields their pids."""
    frozen: set[int] = set()

    async def freeze() -> None:
        while True:
            for child in encoders():
                if child.pid not in frozen:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.suspend()
                        frozen.add(child.pid)
            await asyncio.sleep(0.01)  # nothing announces the start of a process

    task = asyncio.create_task(freeze())
    try:
        yield frozen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_hung_encoder_is_killed_at_the_deadline_and_given_up_after_three_tries(
    tmp_path: Path, own_database: str, valkey_url: str, object_store: ObjectStoreAccess
) -> None:
    data = tone_clip(tmp_path / "in.mp4", hertz=440)
    settings = origin_settings(
        tmp_path, one_server(own_database), valkey_url, object_store, packaging_timeout_s=1.5, job_tries=3
    )
    async with running(settings, encoder=package) as origin:
        ada = await origin.person()
        async with freezing() as frozen:
            video = await origin.upload(ada, data)
            status = await origin.until(ada, video, lambda now: now["status"] == "failed", timeout_s=60)
        assert len(frozen) == 3
        assert status["code"] == "deadline"
        assert "on our side" in status["reason"]
        assert encoders() == []

        async def in_the_operators_queue() -> bool:
            connection = await asyncpg.connect(own_database)
            try:
                row = await connection.fetchrow(
                    "select attempts, error from jobs where kind = 'package' and state = 'failed'"
                )
            finally:
                await connection.close()
            return row is not None and row["attempts"] == 3 and "longer than 1.5 s" in row["error"]

        await origin.eventually(in_the_operators_queue)
        await origin.eventually(lambda: asyncio.to_thread(lambda: not list(settings.scratch_dir.glob("*"))))
        async with open_objects(settings.objects) as objects:
            assert await objects.list_prefix(video_prefix(int(video))) == []

        async def told() -> bool:
            found = await origin.ok("GET", "/api/v1/notifications", ada)
            return [note["kind"] for note in found["notifications"]] == ["video-failed"]

        await origin.eventually(told)
