"""A file goes up while it grows: parts before the end, the same bytes in the end, nothing of what is broken off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from foundation.settings import Secret
from foundation.stores.objects import ObjectStore, ObjectStoreSettings, open_objects
from origin.packaging.growing import GrowingFile
from packager.events import Event, FileGrew, FileReady
from popreel.embedded.object_store import ObjectStoreAccess
from tests.origin_harness import one_server, origin_settings, quick_encoder, running
from tests.polling import until

PART = 5 * 1024 * 1024
HEAD = 3000


@pytest.fixture
async def objects(object_store: ObjectStoreAccess) -> AsyncIterator[ObjectStore]:
    settings = ObjectStoreSettings(
        endpoint=object_store.endpoint,
        access_key=Secret(object_store.access_key),
        secret_key=Secret(object_store.secret_key),
        bucket=object_store.bucket,
    )
    async with open_objects(settings) as objects:
        yield objects


def growing(objects: ObjectStore, path: Path, key: str) -> GrowingFile:
    return GrowingFile(
        objects=objects,
        key=key,
        path=path,
        content_type="video/mp4",
        cache_control="",
        slots=asyncio.Semaphore(2),
        part_bytes=PART,
    )


async def parts_stored(objects: ObjectStore, key: str, count: int) -> None:
    """Wait until the store holds `count` parts of the one upload of `key`."""

    async def stored() -> bool:
        uploads = await objects.multipart_uploads(key)
        return bool(uploads) and len(await objects.list_parts(key, uploads[0][1]) or []) == count

    await until(stored, seconds=60)


@pytest.mark.parametrize("extra", [0, 1, 1_234_567])
async def test_parts_are_there_before_the_file_is_done_and_the_bytes_are_its_own(
    objects: ObjectStore, tmp_path: Path, extra: int
) -> None:
    data = random.randbytes(3 * PART + extra)
    part, final, key = tmp_path / "720p.mp4.part", tmp_path / "720p.mp4", f"videos/aa/1{extra}/r1/720p.mp4"
    file = growing(objects, final, key)
    task = asyncio.create_task(file.run())
    part.write_bytes(bytes(HEAD) + data[HEAD : PART + 10])
    file.grew(PART + 10, HEAD)
    with part.open("ab") as handle:
        handle.write(data[PART + 10 : 3 * PART])
    file.grew(3 * PART, HEAD)
    await parts_stored(objects, key, 2)
    assert await objects.head(key) is None
    with part.open("r+b") as handle:
        handle.write(data[:HEAD])
        handle.seek(3 * PART)
        handle.write(data[3 * PART :])
    part.rename(final)
    file.finished(len(data))
    await asyncio.wait_for(task, 30)
    assert await objects.get_bytes(key) == data
    assert await objects.multipart_uploads(key) == []


async def test_a_small_file_goes_up_whole(objects: ObjectStore, tmp_path: Path) -> None:
    path, key = tmp_path / "360p.mp4", "videos/aa/2/r1/360p.mp4"
    file = growing(objects, path, key)
    task = asyncio.create_task(file.run())
    file.grew(500, 100)
    path.write_bytes(b"x" * 900)
    file.finished(900)
    await asyncio.wait_for(task, 30)
    assert await objects.get_bytes(key) == b"x" * 900


async def test_broken_off_it_leaves_no_object_and_no_upload(objects: ObjectStore, tmp_path: Path) -> None:
    path, key = tmp_path / "720p.mp4", "videos/aa/3/r1/720p.mp4"
    file = growing(objects, path, key)
    task = asyncio.create_task(file.run())
    (tmp_path / "720p.mp4.part").write_bytes(random.randbytes(2 * PART))
    file.grew(2 * PART, HEAD)
    await parts_stored(objects, key, 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await objects.head(key) is None
    assert await objects.multipart_uploads(key) == []


async def test_what_a_killed_worker_left_half_sent_goes_with_the_folder(objects: ObjectStore) -> None:
    kept = "videos/aa/50/r1/720p.mp4"
    await objects.create_multipart(kept, content_type="video/mp4")
    key = "videos/aa/5/r1/720p.mp4"
    upload_id = await objects.create_multipart(key, content_type="video/mp4")
    await objects.put_part(key, upload_id, 2, random.randbytes(PART), size=PART)
    await objects.delete_prefix("videos/aa/5/")
    assert await objects.multipart_uploads("videos/aa/5/") == []
    assert len(await objects.multipart_uploads(kept)) == 1
    await objects.abort_multiparts("videos/aa/50/")


def _end(path: Path, data: bytes) -> None:
    """The rest of a growing file, and its final name."""
    part = path.with_name(path.name + ".part")
    with part.open("r+b") as handle:
        handle.write(data)
    part.replace(path)


async def test_rungs_that_grow_at_the_same_time_are_published_one_after_the_other(
    tmp_path: Path, postgres_dsn: str, valkey_url: str, object_store: ObjectStoreAccess
) -> None:
    """The first rung is published while the second still grows: waiting for that one would wait for ever."""
    second = random.randbytes(20 * 1024 * 1024)

    async def side_by_side(source: Path, out_dir: Path, **options: Any) -> AsyncIterator[Event]:
        async for event in quick_encoder(source, out_dir, **options):
            if isinstance(event, FileReady) and event.name == "480p.mp4":
                await asyncio.to_thread(_end, out_dir / event.name, second)
                event = FileReady(name=event.name, size_bytes=len(second), content_type=event.content_type)
            yield event
            if isinstance(event, FileReady) and event.name == "poster.webp":
                part = out_dir / "480p.mp4.part"
                await asyncio.to_thread(part.write_bytes, second[: 17 * 1024 * 1024])
                yield FileGrew(name="480p.mp4", size_bytes=17 * 1024 * 1024, final_from=0)

    settings = origin_settings(tmp_path, one_server(postgres_dsn), valkey_url, object_store)
    async with running(settings, encoder=side_by_side) as origin:
        ada = await origin.person()
        video = await origin.published(ada)
        status, body = await origin.call("GET", f"/videos/us-east/{video}/480p.mp4")
        assert status == 200
        assert body == second
