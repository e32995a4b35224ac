"""Replace, schedule, visibility, retry, collect: what may happen to a video in its life."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from foundation.stores.objects import open_objects
from foundation.stores.postgres import Shards
from origin.uploads.collect import UploadCollector
from packager.errors import PackagingFailed
from packager.events import Event
from popreel.embedded.object_store import ObjectStoreAccess
from tests.origin_harness import CLIP, Origin, one_server, origin_settings, quick_encoder, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_replaced_file_keeps_id_and_counts_and_the_old_one_plays_until_then(origin: Origin) -> None:
    ada, bob = await origin.person(), await origin.person()
    video = await origin.published(ada, title="first cut")
    await origin.ok("POST", f"/api/v1/videos/{video}/like", bob)
    old = (await origin.ok("GET", f"/api/v1/videos/{video}"))["urls"]
    new_clip = CLIP + b"second"
    body = {"filename": "b.mp4", "filesize": len(new_clip)}
    assert (await origin.call("POST", f"/api/v1/videos/{video}/replace", bob, json=body))[0] == 403
    ticket = await origin.ok("POST", f"/api/v1/videos/{video}/replace", ada, json=body)
    assert ticket["videoId"] == video
    await origin.send(ada, ticket, new_clip)
    assert (await origin.call("GET", old["mp4"]))[0] == 200
    for _ in range(3):
        await origin.ok("POST", f"/api/v1/videos/{video}/upload/complete", ada, json={})
    await origin.until(ada, video, lambda status: status["urls"].get("mp4") != old["mp4"] and status["progress"] == 1)
    seen = await origin.ok("GET", f"/api/v1/videos/{video}", bob)
    assert (seen["title"], seen["liked"], seen["likeCount"]) == ("first cut", True, 1)
    _, new_bytes = await origin.call("GET", seen["urls"]["mp4"])
    revision = int(seen["urls"]["mp4"].split("/r")[-1].split("/")[0])
    assert f"revision {revision}".encode() in new_bytes
    assert (await origin.call("GET", old["mp4"]))[0] == 200  # who is in the middle of it may finish

    async def told() -> bool:
        changes = [c for c in (await origin.changes())["changes"] if c["videoId"] == video and c["item"]]
        return changes[-1]["item"]["revision"] == revision

    await origin.eventually(told)


async def test_a_scheduled_video_comes_out_at_its_time_and_not_before(origin: Origin) -> None:
    ada = await origin.person()
    out_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=8)
    video = await origin.upload(ada, title="soon", publishAt=out_at.isoformat())
    await origin.until(ada, video, lambda status: status["stage"] == "scheduled")
    assert (await origin.call("GET", f"/api/v1/videos/{video}"))[0] == 404
    assert (await origin.call("GET", f"/videos/us-east/{video}/master.m3u8"))[0] == 404
    await origin.until(ada, video, lambda status: status["status"] == "ready")
    seen = await origin.ok("GET", f"/api/v1/videos/{video}")
    assert seen["publishedAtMs"] >= int(out_at.timestamp() * 1000) - 5


async def test_a_schedule_can_be_changed_until_the_video_is_out(origin: Origin) -> None:
    ada = await origin.person()
    path = "/api/v1/videos/"
    far = dt.datetime.now(dt.UTC) + dt.timedelta(days=3)
    video = await origin.upload(ada, title="later", publishAt=far.isoformat())
    await origin.until(ada, video, lambda status: status["stage"] == "scheduled" and status["progress"] == 1)
    farther = far + dt.timedelta(days=1)
    await origin.ok("PATCH", path + video, ada, json={"publishAt": farther.isoformat()})
    assert (await origin.ok("GET", f"{path}{video}/status", ada))["stage"] == "scheduled"
    assert (await origin.call("PATCH", path + video, ada, json={"publishAt": "2030-01-01T00:00:00"}))[0] == 400
    await origin.ok("PATCH", path + video, ada, json={"publishAt": None})
    await origin.until(ada, video, lambda status: status["status"] == "ready")
    status, problem = await origin.call("PATCH", path + video, ada, json={"publishAt": far.isoformat()})
    assert (status, problem["code"]) == (409, "state-conflict")


async def test_visibility_moves_a_video_in_and_out_of_everybodys_sight(origin: Origin) -> None:
    ada = await origin.person()
    video = await origin.published(ada, title="hide and seek xylophone", hashtags=["hideseek"])
    for visibility, open_to_all, listed in [
        ("unlisted", 200, False),
        ("private", 404, False),
        ("public", 200, True),
    ]:
        await origin.ok("PATCH", f"/api/v1/videos/{video}", ada, json={"visibility": visibility})
        assert (await origin.call("GET", f"/api/v1/videos/{video}"))[0] == open_to_all
        assert (await origin.call("GET", f"/videos/us-east/{video}/master.m3u8"))[0] == open_to_all
        found = (await origin.ok("GET", "/api/v1/search?q=xylophone"))["videos"]
        tagged = (await origin.ok("GET", "/api/v1/hashtag/hideseek/videos"))["videos"]
        assert bool(found) is bool(tagged) is listed
    kinds = [c["kind"] for c in (await origin.changes())["changes"] if c["videoId"] == video]
    assert "tombstone" in kinds


async def test_an_upload_nobody_finishes_is_collected(origin: Origin) -> None:
    ada = await origin.person()
    ticket = await origin.begin(ada)
    await origin.send(ada, ticket)
    connection = await asyncpg.connect(str.__str__(origin.settings.postgres[0].dsn))
    await connection.execute(
        "update uploads set expires_at = now() - interval '1 s' where video_id = $1", int(ticket["videoId"])
    )
    await connection.close()
    status, problem = await origin.call("PUT", f"{ticket['uploadUrl']}?part=1", ada, data=CLIP)
    assert (status, problem["code"]) == (410, "upload-expired")
    shards = Shards(origin.settings.postgres)
    await shards.open()
    async with open_objects(origin.settings.objects) as objects:
        collector = UploadCollector(shards, objects=objects)
        assert [str(video) for video in await collector.collect()] == [ticket["videoId"]]
        assert await collector.collect() == []
    await shards.close()
    assert (await origin.call("GET", f"/api/v1/videos/{ticket['videoId']}", ada))[0] == 404


async def test_a_failing_encoder_is_tried_three_times_then_the_uploader_is_told_and_may_retry(
    tmp_path: Path, own_database: str, valkey_url: str, object_store: ObjectStoreAccess
) -> None:
    tries: list[Path] = []
    healthy = False

    async def moody(source: Path, out_dir: Path, **options: Any) -> AsyncIterator[Event]:
        if healthy:
            async for event in quick_encoder(source, out_dir, **options):
                yield event
            return
        tries.append(out_dir)
        raise PackagingFailed("crashed", "the encoder crashed")

    settings = origin_settings(tmp_path, one_server(own_database), valkey_url, object_store)
    async with running(settings, encoder=moody) as origin:
        ada = await origin.person()
        video = await origin.upload(ada, title="unlucky")
        told = await origin.until(ada, video, lambda status: status["status"] == "failed")
        assert (told["code"], len(tries)) == ("crashed", 3)

        async def notified() -> bool:
            notes = (await origin.ok("GET", "/api/v1/notifications", ada))["notifications"]
            return any(note["kind"] == "video-failed" and note["payload"]["videoId"] == video for note in notes)

        await origin.eventually(notified)
        healthy = True
        await origin.ok("POST", f"/api/v1/videos/{video}/reprocess", ada)
        await origin.until(ada, video, lambda status: status["status"] == "ready")
