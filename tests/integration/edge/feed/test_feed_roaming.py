"""A viewer at a new PoP, signed in or a device, is known at once, over real HTTP, and never waits for an origin that is
away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from edge.feed.history import HttpViewerHistory
from edge.feed.ports import Viewer
from foundation.settings import Secret
from foundation.wire.events import EventBatch, WatchEvent, WatchReport

from .conftest import NOW_S, MakeWorld


def liked(video_id: int) -> WatchEvent:
    report = WatchReport(video_id=str(video_id), watch_duration=20_000, total_duration=20_000, liked=True)
    return WatchEvent(
        event_id=str(video_id), viewer="u:501", pop_id="other", received_at_ms=int(NOW_S * 1000), report=report
    )


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def test_what_was_watched_elsewhere_leads_the_first_page_and_does_not_return(
    make_world: MakeWorld, ann: Viewer, session: aiohttp.ClientSession
) -> None:
    asked: list[str] = []

    async def recent(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer k"
        asked.append(request.match_info["viewer"])
        events = tuple(liked(video_id) for video_id in range(3, 83, 8))
        return web.Response(body=msgspec.json.encode(EventBatch(batch_id="h", events=events)))

    app = web.Application()
    app.router.add_get("/internal/v1/viewers/{viewer}/events", recent)
    async with TestServer(app) as server:
        history = HttpViewerHistory(session, base_url=str(server.make_url("/")), service_key=Secret("k"), wait_s=5)
        world = await make_world(history=history)
        page = await world.feed.page(ann, count=10, cursor=None)
        shown = [int(item.id) for item in page.videos]
        assert sum(world.topic_of(v) == 3 for v in shown) >= 3
        assert not set(shown) & set(range(3, 83, 8))
        assert world.catalogue.columns.seen_count.sum() == 0  # the other PoP has counted them
        await world.feed.page(ann, count=10, cursor=page.next_cursor)
        await world.feed.page(Viewer(id="d:new", just_named=True), count=10, cursor=None)
        assert asked == ["u:501"]
        travelled = await world.feed.page(Viewer(id="d:known-elsewhere"), count=10, cursor=None)
        assert sum(world.topic_of(int(item.id)) == 3 for item in travelled.videos) >= 3
        assert asked == ["u:501", "d:known-elsewhere"]


async def test_an_origin_that_does_not_answer_costs_a_moment_not_the_page(
    make_world: MakeWorld, ann: Viewer, session: aiohttp.ClientSession
) -> None:
    never = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/internal/v1/viewers/{viewer}/events", hang)
    async with TestServer(app) as server:
        history = HttpViewerHistory(session, base_url=str(server.make_url("/")), service_key=Secret("k"), wait_s=0.05)
        world = await make_world(videos=60, history=history)
        page = await world.feed.page(ann, count=10, cursor=None)
        assert len(page.videos) == 10
        assert not page.is_fallback
        never.set()
