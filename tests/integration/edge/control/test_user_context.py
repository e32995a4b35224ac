"""Relations of viewers at a PoP, from an origin on a socket."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from edge.control.user_context import LIFE_S, RemoteUserContext
from edge.feed.ports import NO_RELATIONS
from foundation.settings import Secret


class Origin:
    def __init__(self) -> None:
        self.following = ["7"]
        self.asked = 0
        self.answer = asyncio.Event()
        self.answer.set()
        self.status = 200

    async def relations(self, request: web.Request) -> web.Response:
        self.asked += 1
        await self.answer.wait()
        return web.json_response({"following": self.following, "blocked": ["9"]}, status=self.status)


@pytest.fixture
def origin() -> Origin:
    return Origin()


@pytest.fixture
def now_s() -> list[float]:
    return [0.0]


@pytest.fixture
async def context(origin: Origin, now_s: list[float]) -> AsyncIterator[RemoteUserContext]:
    app = web.Application()
    app.router.add_get("/internal/v1/users/{id}/relations", origin.relations)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = str(server.make_url("")).rstrip("/")
        context = RemoteUserContext(session=session, origin_url=url, service_key=Secret("k"), clock_s=lambda: now_s[0])
        yield context
        await context.close()


async def test_relations_are_fetched_once_for_many_requests(context: RemoteUserContext, origin: Origin) -> None:
    found = await asyncio.gather(*(context.relations("1") for _ in range(20)))
    assert {relations.following for relations in found} == {frozenset({7})}
    assert found[0].blocked == frozenset({9})
    assert origin.asked == 1


async def test_a_follow_is_seen_by_the_next_request(context: RemoteUserContext, origin: Origin) -> None:
    await context.relations("1")
    origin.following = ["7", "8"]
    context.changed("1")
    assert (await context.relations("1")).following == {7, 8}


async def test_stale_knowledge_serves_while_it_is_renewed(
    context: RemoteUserContext, origin: Origin, now_s: list[float]
) -> None:
    await context.relations("1")
    origin.following = []
    now_s[0] += LIFE_S + 1
    assert (await context.relations("1")).following == {7}
    async with asyncio.timeout(60):
        while (await context.relations("1")).following:  # noqa: ASYNC110  # a fetch has no event to wait for
            await asyncio.sleep(0)
    assert origin.asked == 2


async def test_a_slow_origin_does_not_hold_the_feed(context: RemoteUserContext, origin: Origin) -> None:
    origin.answer.clear()
    assert await context.relations("1") is NO_RELATIONS


async def test_an_origin_in_trouble_means_no_relations(context: RemoteUserContext, origin: Origin) -> None:
    origin.status = 500
    assert await context.relations("1") is NO_RELATIONS
