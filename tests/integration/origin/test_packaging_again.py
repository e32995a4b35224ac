"""A video is packaged anew while the job before it is still held: the new job must not be swallowed by the old one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packager.errors import Refusal, RefusedInput
from packager.events import Event, Playable
from popreel.embedded.object_store import ObjectStoreAccess
from tests.origin_harness import CLIP, one_server, origin_settings, quick_encoder, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_file_replaced_while_the_old_one_is_half_done_is_packaged(
    tmp_path: Path, own_database: str, valkey_url: str, object_store: ObjectStoreAccess
) -> None:
    half_done, go_on = asyncio.Event(), asyncio.Event()

    async def held(source: Path, out_dir: Path, **options: Any) -> AsyncIterator[Event]:
        async for event in quick_encoder(source, out_dir, **options):
            yield event
            if isinstance(event, Playable) and not half_done.is_set():
                half_done.set()
                await go_on.wait()

    settings = origin_settings(tmp_path, one_server(own_database), valkey_url, object_store)
    async with running(settings, encoder=held) as origin:
        ada = await origin.person()
        video = await origin.upload(ada)
        await half_done.wait()
        ticket = await origin.ok(
            "POST", f"/api/v1/videos/{video}/replace", ada, json={"filename": "b.mp4", "filesize": len(CLIP)}
        )
        await origin.send(ada, ticket)
        await origin.ok("POST", f"/api/v1/videos/{video}/upload/complete", ada, json={})
        go_on.set()
        done = await origin.until(ada, video, lambda now: now["progress"] == 1 and now["status"] == "ready")
        assert "/r2/" in done["urls"]["mp4"]


async def test_a_failed_video_is_processed_again_however_soon_it_is_asked(
    tmp_path: Path, own_database: str, valkey_url: str, object_store: ObjectStoreAccess
) -> None:
    refusals = iter(range(5))

    async def picky(source: Path, out_dir: Path, **options: Any) -> AsyncIterator[Event]:
        if next(refusals, None) is not None:
            raise RefusedInput(Refusal.DAMAGED, "not this time")
        async for event in quick_encoder(source, out_dir, **options):
            yield event

    settings = origin_settings(tmp_path, one_server(own_database), valkey_url, object_store)
    async with running(settings, encoder=picky) as origin:
        ada = await origin.person()
        video = await origin.upload(ada)
        for _ in range(5):  # the row says so before the job is gone: the answer comes right into that gap
            await origin.until(ada, video, lambda now: now["status"] == "failed")
            await origin.ok("POST", f"/api/v1/videos/{video}/reprocess", ada)
        await origin.until(ada, video, lambda now: now["progress"] == 1)
