"""The thread through the whole platform, as an app sees it: sign-up, upload, publish, feed, play, watch, delete.

Everything goes through PoPs, over public routes, on real servers and real encodes.
"""

from __future__ import annotations

import asyncio
import functools
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import m3u8
import pytest

from popreel.lab.throwaway import ThrowawayPlatform
from tests import polling
from tests.http_client import json_of

SECONDS = 60


@pytest.fixture
def pops(platform: ThrowawayPlatform) -> tuple[str, str]:
    return platform.urls["local-1"], platform.urls["local-2"]


until = functools.partial(polling.until, seconds=SECONDS)


class App:
    """A person with an app that talks to one PoP."""

    def __init__(self, http: aiohttp.ClientSession, pop: str, *, token: str = "") -> None:
        self.http = http
        self.pop = pop
        self.headers = {"X-Device-Id": str(uuid.uuid4())}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    async def register(self) -> dict[str, Any]:
        name = f"user{uuid.uuid4().hex[:10]}"
        account = {"username": name, "password": "correct horse battery", "birthdate": "1990-05-17"}
        answer = await self.http.post(f"{self.pop}/api/v1/auth/register", json=account)
        session: dict[str, Any] = await json_of(answer, 201)
        self.headers["Authorization"] = f"Bearer {session['accessToken']}"
        return session

    async def get(self, path: str, status: int = 200) -> Any:
        return await json_of(await self.http.get(f"{self.pop}{path}", headers=self.headers), status)

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        return await json_of(await self.http.post(f"{self.pop}{path}", json=body, headers=self.headers), status)

    async def delete(self, path: str) -> int:
        return (await self.http.delete(f"{self.pop}{path}", headers=self.headers)).status

    async def upload(self, file: Path, **metadata: Any) -> str:
        """Init, parts, complete; the video's id."""
        data = await asyncio.to_thread(file.read_bytes)
        ticket = await self.post(
            "/api/v1/videos/upload/init", {"filename": file.name, "filesize": len(data), "durationMs": 2000}, 201
        )
        size = ticket["chunkSize"]
        for number, start in enumerate(range(0, len(data), size), start=1):
            url = f"{self.pop}{ticket['uploadUrl']}?part={number}"
            answer = await self.http.put(url, data=data[start : start + size], headers=self.headers)
            assert answer.status in (200, 204), await answer.text()
        video_id: str = ticket["videoId"]
        details = {"title": "A test", "visibility": "public", **metadata}
        answer = await self.http.post(
            f"{self.pop}/api/v1/videos/{video_id}/upload/complete", json=details, headers=self.headers
        )
        assert answer.status in (200, 202), await answer.text()
        return video_id

    async def ready(self, video_id: str) -> dict[str, Any]:
        async def look() -> Any:
            status = await self.get(f"/api/v1/videos/{video_id}/status")
            assert status["status"] != "failed", status
            return status if status["status"] == "ready" else None

        found: dict[str, Any] = await until(look)
        return found

    async def feed_ids(self, count: int = 20) -> list[str]:
        return [item["id"] for item in (await self.get(f"/api/v1/feed?count={count}"))["videos"]]


@pytest.fixture
async def creator(http: aiohttp.ClientSession, pops: tuple[str, str]) -> App:
    app = App(http, pops[0])
    await app.register()
    return app


async def test_an_upload_reaches_the_feed_of_every_pop_and_plays_from_it(
    creator: App, http: aiohttp.ClientSession, pops: tuple[str, str], make_clip: Callable[..., Path]
) -> None:
    video_id = await creator.upload(make_clip("thread"), title="First light", hashtags=["dawn"])
    await creator.ready(video_id)
    for pop, region in zip(pops, ("us-east", "ap-tokyo"), strict=True):
        viewer = App(http, pop)

        async def appears(viewer: App = viewer) -> Any:
            page = await viewer.get("/api/v1/feed?count=20")
            return next((item for item in page["videos"] if item["id"] == video_id), None)

        item = await until(appears)
        assert item["urls"]["master"] == f"/videos/{region}/{video_id}/master.m3u8"
        assert item["title"] == "First light"
        await plays(http, pop, item)


async def plays(http: aiohttp.ClientSession, pop: str, item: dict[str, Any]) -> None:
    """Master -> every rung -> every byte range, from the PoP's cache the second time; the start hint is exact."""
    master = await http.get(f"{pop}{item['urls']['master']}")
    assert master.status == 200
    assert master.content_type == "application/vnd.apple.mpegurl"
    playlist = m3u8.loads(await master.text(), uri=str(master.url))
    assert playlist.is_variant
    for variant in playlist.playlists:
        answer = await http.get(variant.absolute_uri)
        media = m3u8.loads(await answer.text(), uri=str(answer.url))
        file_url = media.segments[0].absolute_uri
        length = int((await http.head(file_url)).headers["Content-Length"])
        for segment in media.segments:
            size, start = map(int, segment.byterange.split("@"))
            part = await http.get(file_url, headers={"Range": f"bytes={start}-{start + size - 1}"})
            assert (part.status, len(await part.read())) == (206, size)
            assert part.headers["Content-Range"] == f"bytes {start}-{start + size - 1}/{length}"
    again = await http.get(f"{pop}{item['start']['mp4Url']}")
    assert "hit" in again.headers["Cache-Status"]
    body = await again.read()
    assert body[4:8] == b"ftyp"
    assert body[item["start"]["initBytes"] - 4 :].find(b"moof") > 0
    assert item["start"]["mp4Url"] in item["start"]["playlist"]


async def test_what_a_viewer_watches_changes_the_next_page_and_counts_once(
    creator: App, http: aiohttp.ClientSession, pops: tuple[str, str], make_clip: Callable[..., Path]
) -> None:
    watched = await creator.upload(make_clip("watched", seconds=3), title="Watched")
    await creator.ready(watched)
    viewer = App(http, pops[0])
    await until(lambda: _contains(viewer, watched))
    before = await viewer.feed_ids()
    report = {
        "videoId": watched,
        "watchDuration": 3000,
        "totalDuration": 3000,
        "liked": True,
        "eventId": uuid.uuid4().hex,
    }
    for _ in range(3):  # a client that lost the answer sends again
        await viewer.post("/api/v1/analytics/watch", report, 202)
    after = await viewer.feed_ids()
    assert after != before
    assert watched not in after[: len(before) - 1] or len(before) == 1

    async def counted() -> Any:
        return (await viewer.get(f"/api/v1/videos/{watched}"))["viewCount"] or None

    assert await until(counted) == 1


async def _lacks(viewer: App, video_id: str) -> bool:
    return not await _contains(viewer, video_id)


async def _contains(viewer: App, video_id: str) -> bool:
    return video_id in await viewer.feed_ids()


async def test_pages_of_a_feed_never_repeat(http: aiohttp.ClientSession, pops: tuple[str, str]) -> None:
    viewer = App(http, pops[0])
    first = await viewer.get("/api/v1/feed?count=2")
    second = await viewer.get(f"/api/v1/feed?count=2&cursor={first['nextCursor']}")
    assert not {item["id"] for item in first["videos"]} & {item["id"] for item in second["videos"]}


async def test_a_deleted_video_leaves_every_feed_and_every_cache(
    creator: App, http: aiohttp.ClientSession, pops: tuple[str, str], make_clip: Callable[..., Path]
) -> None:
    video_id = await creator.upload(make_clip("doomed"), title="Doomed")
    await creator.ready(video_id)
    viewers = [App(http, pop) for pop in pops]
    urls = [
        f"{pop}/videos/{region}/{video_id}/master.m3u8"
        for pop, region in zip(pops, ("us-east", "ap-tokyo"), strict=True)
    ]
    for viewer, url in zip(viewers, urls, strict=True):
        await until(lambda viewer=viewer: _contains(viewer, video_id))  # type: ignore[misc]
        assert (await http.get(url)).status == 200
    assert await creator.delete(f"/api/v1/videos/{video_id}") in (200, 202, 204)
    started_s = time.monotonic()

    async def gone(viewer: App, url: str) -> float:
        await until(lambda: _lacks(viewer, video_id))
        left_s = time.monotonic() - started_s

        async def no_media() -> bool:
            return (await http.get(url)).status in (404, 410)

        await until(no_media)
        return left_s

    left = await asyncio.gather(*(gone(viewer, url) for viewer, url in zip(viewers, urls, strict=True)))
    print(f"a deleted video left the feeds of both PoPs after {max(left):.2f} s")  # pytest -s shows it


async def test_a_private_video_opens_to_its_owner_alone(
    creator: App, http: aiohttp.ClientSession, pops: tuple[str, str], make_clip: Callable[..., Path]
) -> None:
    video_id = await creator.upload(make_clip("diary"), title="Diary", visibility="private")
    await creator.ready(video_id)
    master = (await creator.get(f"/api/v1/videos/{video_id}"))["urls"]["master"]
    assert (await http.get(f"{pops[0]}{master}")).status == 200
    bare = f"{pops[0]}/videos/us-east/{video_id}/master.m3u8"
    assert (await http.get(bare)).status in (401, 403, 404), "the cache must not hand out what the owner warmed"
    stranger = App(http, pops[0])
    await stranger.get(f"/api/v1/videos/{video_id}", 404)
    assert not await _contains(stranger, video_id)


async def test_media_close_and_open_at_every_pop_with_their_video(
    creator: App, http: aiohttp.ClientSession, pops: tuple[str, str], make_clip: Callable[..., Path]
) -> None:
    """What a PoP keeps says who may have it: a copy from before the change would say the wrong thing for a year."""
    video_id = await creator.upload(make_clip("second-thoughts"), title="Second thoughts", visibility="unlisted")
    await creator.ready(video_id)
    view = await creator.get(f"/api/v1/videos/{video_id}")
    rung = str(view["urls"]["mp4"]).partition(f"/{video_id}/")[2]
    bare = [f"{pop}/videos/us-east/{video_id}/{file}" for pop in pops for file in ("master.m3u8", rung)]

    async def all_answer(*wanted: int) -> bool:
        return all([(await http.get(url)).status in wanted for url in bare])

    assert await all_answer(200)
    for visibility, wanted in (("followers", (401, 403, 404)), ("public", (200,)), ("private", (401, 403, 404))):
        change = {"visibility": visibility}
        await json_of(await http.patch(f"{pops[0]}/api/v1/videos/{video_id}", json=change, headers=creator.headers))
        await until(functools.partial(all_answer, *wanted))


async def test_a_session_ended_at_the_origin_is_over_at_every_pop(
    http: aiohttp.ClientSession, pops: tuple[str, str]
) -> None:
    app = App(http, pops[0])
    await app.register()
    elsewhere = App(http, pops[1])
    elsewhere.headers["Authorization"] = app.headers["Authorization"]
    await elsewhere.get("/api/v1/feed")
    answer = await http.post(f"{pops[0]}/api/v1/auth/logout", headers=app.headers)
    assert answer.status in (200, 204), await answer.text()

    async def refused() -> bool:
        answer = await http.get(f"{pops[1]}/api/v1/feed", headers=elsewhere.headers)
        return answer.status == 401

    await until(refused)


async def test_every_service_tells_health_metrics_and_its_api(
    platform: ThrowawayPlatform, http: aiohttp.ClientSession
) -> None:
    for name, url in platform.urls.items():
        assert (await http.get(f"{url}/healthz")).status == 200, name
        assert (await http.get(f"{url}/readyz")).status == 200, name
        assert "http_server_request_duration_seconds" in await (await http.get(f"{url}/metrics")).text(), name
        document = await json_of(await http.get(f"{url}/openapi.json"))
        assert document["openapi"].startswith("3.1"), name
        assert document["paths"], name
