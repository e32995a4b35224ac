"""The operators' queue: what failed is listed with its reason, tried again or let go, and the uploader is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg

from packager.errors import PackagingFailed
from packager.events import Event
from popreel.embedded.object_store import ObjectStoreAccess
from tests.origin_harness import OPERATOR, Json, Origin, Person, one_server, origin_settings, quick_encoder, running

JOBS = "/api/v1/admin/jobs"


class Encoder:
    """Breaks until it is mended."""

    def __init__(self) -> None:
        self.mended = False

    async def __call__(self, source: Path, out_dir: Path, **options: Any) -> AsyncIterator[Event]:
        if not self.mended:
            raise PackagingFailed("crashed", "the encoder fell over its own feet")
        async for event in quick_encoder(source, out_dir, **options):
            yield event


async def failed(origin: Origin, who: Person, title: str) -> str:
    video = await origin.upload(who, title=title)
    await origin.until(who, video, lambda status: status["status"] == "failed")
    return video


async def told(origin: Origin, who: Person, video: str) -> list[str]:
    """Kinds of the notifications about a video, oldest first."""
    notes = (await origin.ok("GET", "/api/v1/notifications", who))["notifications"]
    return [note["kind"] for note in reversed(notes) if note["payload"].get("videoId") == video]


async def listed(origin: Origin) -> list[Json]:
    return list((await origin.ok("GET", f"{JOBS}?kind=package", OPERATOR))["jobs"])


async def test_failed_jobs_are_listed_retried_and_let_go(
    tmp_path: Path, own_database: str, valkey_url: str, object_store: ObjectStoreAccess
) -> None:
    settings, encoder = origin_settings(tmp_path, one_server(own_database), valkey_url, object_store), Encoder()
    async with running(settings, encoder=encoder) as origin:
        ada = await origin.person()
        videos = [await failed(origin, ada, title) for title in ("one", "two", "three")]

        async def three() -> bool:
            return len(await listed(origin)) == 3

        await origin.eventually(three)
        jobs = {job["key"]: job for job in await listed(origin)}
        assert set(jobs) == set(videos)
        assert jobs[videos[0]]["attempts"] == settings.job_tries
        assert "fell over its own feet" in jobs[videos[0]]["error"]
        page = await origin.ok("GET", f"{JOBS}?limit=2", OPERATOR)
        rest = await origin.ok("GET", f"{JOBS}?limit=2&cursor={page['nextCursor']}", OPERATOR)
        assert {job["id"] for job in page["jobs"] + rest["jobs"]} == {job["id"] for job in jobs.values()}
        assert rest["nextCursor"] is None

        await origin.ok("DELETE", f"{JOBS}/{jobs[videos[0]]['id']}", OPERATOR)
        assert (await origin.call("DELETE", f"{JOBS}/{jobs[videos[0]]['id']}", OPERATOR))[0] == 404
        encoder.mended = True
        await origin.ok("POST", f"{JOBS}/{jobs[videos[1]]['id']}/retry", OPERATOR)
        await origin.ok("POST", f"/api/v1/admin/videos/{videos[2]}/reprocess", OPERATOR)
        for video in videos[1:]:
            await origin.until(ada, video, lambda status: status["status"] == "ready" and status["progress"] == 1)
        assert await listed(origin) == []
        assert (await origin.ok("GET", f"/api/v1/videos/{videos[0]}/status", ada))["status"] == "failed"

        async def informed() -> bool:
            kinds = [await told(origin, ada, video) for video in videos]
            return kinds == [["video-failed"], ["video-failed", "video-ready"], ["video-failed", "video-ready"]]

        await origin.eventually(informed)
        status, problem = await origin.call("POST", f"/api/v1/admin/videos/{videos[1]}/reprocess", OPERATOR)
        assert (status, problem["code"]) == (409, "state-conflict")
        assert (await origin.call("POST", f"/api/v1/admin/videos/{videos[0]}/embedding", OPERATOR))[0] == 409
        for _ in range(3):
            await origin.ok("POST", f"/api/v1/admin/videos/{videos[1]}/embedding", OPERATOR)

        async def all_audited() -> bool:
            return await audited(own_database) == {
                f"forget-job package:{videos[0]}": 1,
                f"retry-job package:{videos[1]}": 1,
                f"reprocess video:{videos[2]}": 1,
                f"regenerate-embedding video:{videos[1]}": 3,
            }

        await origin.eventually(all_audited)


async def audited(dsn: str) -> dict[str, int]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("select action || ' ' || subject as act, count(*) as n from audit_log group by 1")
        return {row["act"]: row["n"] for row in rows}
    finally:
        await connection.close()
