"""Events reach the origin at least once, in order, whatever the origin does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from redis.asyncio import Redis

from edge.events.forwarder import EventForwarder, HttpEventOrigin
from edge.events.spool import STREAM, EventSpool
from foundation.errors import Unavailable
from foundation.settings import Secret
from foundation.wire.events import EventBatch, EventReceipt, WatchEvent, WatchReport


def event(number: int) -> WatchEvent:
    report = WatchReport(video_id="1", watch_duration=1, total_duration=2)
    return WatchEvent(event_id=f"e{number}", viewer="d:x", pop_id="p", received_at_ms=number, report=report)


class Origin:
    """Takes batches, or fails in the way set."""

    def __init__(self) -> None:
        self.batches: list[EventBatch] = []
        self.answer: int = 200
        self.poison: str = ""
        self.waiting: set[str] = set()
        """Events whose shard is being moved."""
        self.got = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        batch = msgspec.json.decode(await request.read(), type=EventBatch)
        if self.answer != 200:
            return web.Response(status=self.answer)
        if any(e.event_id == self.poison for e in batch.events):
            return web.Response(status=400)
        self.batches.append(batch)
        self.got.set()
        waiting = tuple(at for at, e in enumerate(batch.events) if e.event_id in self.waiting)
        receipt = EventReceipt(accepted=len(batch.events) - len(waiting), duplicates=0, waiting=waiting)
        return web.Response(body=msgspec.json.encode(receipt))


@pytest.fixture
async def valkey(valkey_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(valkey_url)
    yield client
    await client.aclose()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def served(origin: Origin) -> TestServer:
    app = web.Application()
    app.router.add_post("/internal/v1/events", origin.take)
    server = TestServer(app)
    await server.start_server()
    return server


def forwarder_to(server: TestServer, spool: EventSpool, session: aiohttp.ClientSession, batch: int) -> EventForwarder:
    origin = HttpEventOrigin(session, base_url=str(server.make_url("/")), service_key=Secret("k"))
    return EventForwarder(spool, origin, pop_id="p", batch=batch, retry_first_s=0.02, retry_most_s=0.05)


async def test_batches_arrive_in_order_and_the_spool_empties(valkey: Redis, session: aiohttp.ClientSession) -> None:
    origin, spool = Origin(), EventSpool(valkey)
    server = await served(origin)
    forwarder = forwarder_to(server, spool, session, batch=4)
    await spool.append([event(n) for n in range(10)])
    while await forwarder.forward_once(wait_ms=1):
        pass
    assert [e.event_id for batch in origin.batches for e in batch.events] == [f"e{n}" for n in range(10)]
    assert [len(batch.events) for batch in origin.batches] == [4, 4, 2]
    assert await spool.length() == 0
    await server.close()


async def test_events_whose_shard_moves_wait_and_hold_up_nobody(valkey: Redis, session: aiohttp.ClientSession) -> None:
    origin, spool = Origin(), EventSpool(valkey)
    server = await served(origin)
    forwarder = forwarder_to(server, spool, session, batch=3)
    await spool.append([event(n) for n in range(8)])
    origin.waiting = {"e0", "e4"}
    assert [await forwarder.forward_once(wait_ms=1) for _ in range(3)] == [2, 2, 2]
    with pytest.raises(Unavailable, match="being moved"):
        await forwarder.forward_once(wait_ms=1)
    assert [[e.event_id for e in batch.events] for batch in origin.batches] == [
        ["e0", "e1", "e2"],
        ["e3", "e4", "e5"],
        ["e6", "e7"],
    ]
    assert all(batch.partly for batch in origin.batches)
    assert (await spool.length(), forwarder.counts.sent) == (2, 6)
    origin.waiting.clear()
    while await forwarder.forward_once(wait_ms=1):
        pass
    assert [e.event_id for e in origin.batches[-1].events] == ["e0", "e4"]
    assert (await spool.length(), forwarder.counts.sent) == (0, 8)
    await server.close()


async def test_an_origin_that_is_away_loses_nothing(valkey: Redis, session: aiohttp.ClientSession) -> None:
    origin, spool = Origin(), EventSpool(valkey)
    server = await served(origin)
    origin.answer = 503
    forwarder = forwarder_to(server, spool, session, batch=100)
    await spool.append([event(n) for n in range(5)])
    for _ in range(2):
        with pytest.raises(Unavailable):
            await forwarder.forward_once(wait_ms=1)
    assert await spool.length() == 5
    origin.answer = 200
    forwarder.open()
    await asyncio.wait_for(origin.got.wait(), 60)
    await spool.append([event(9)])
    while len(origin.batches) < 2:
        await asyncio.wait_for(origin.got.wait(), 60)
        origin.got.clear()
    await forwarder.close()
    assert [e.event_id for batch in origin.batches for e in batch.events] == ["e0", "e1", "e2", "e3", "e4", "e9"]
    await server.close()


async def test_a_batch_sent_again_after_a_lost_receipt_has_the_same_id(
    valkey: Redis, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin, spool = Origin(), EventSpool(valkey)
    server = await served(origin)
    forwarder = forwarder_to(server, spool, session, batch=100)
    await spool.append([event(1), event(2)])

    async def cut_off(ids: object) -> None:
        raise Unavailable("the PoP was cut off before it could acknowledge")

    with monkeypatch.context() as patched:
        patched.setattr(spool, "acknowledge", cut_off)
        with pytest.raises(Unavailable):
            await forwarder.forward_once(wait_ms=1)
    await forwarder.forward_once(wait_ms=1)
    assert len({batch.batch_id for batch in origin.batches}) == 1
    assert len(origin.batches) == 2
    await server.close()


async def test_one_event_the_origin_refuses_does_not_hold_up_the_rest(
    valkey: Redis, session: aiohttp.ClientSession
) -> None:
    origin, spool = Origin(), EventSpool(valkey)
    server = await served(origin)
    origin.poison = "e2"
    forwarder = forwarder_to(server, spool, session, batch=100)
    await spool.append([event(n) for n in range(4)])
    await valkey.xadd(STREAM, {b"e": b"{not json"})
    await forwarder.forward_once(wait_ms=1)
    assert [e.event_id for batch in origin.batches for e in batch.events] == ["e0", "e1", "e3"]
    assert forwarder.counts.refused == 2
    assert await spool.length() == 0
    await server.close()


async def test_a_full_spool_refuses_new_events_and_opens_again(valkey: Redis, session: aiohttp.ClientSession) -> None:
    origin, spool = Origin(), EventSpool(valkey, most_events=10)
    server = await served(origin)
    await spool.append([event(n) for n in range(10)])
    with pytest.raises(Unavailable, match="full"):
        await spool.append([event(11)])
    assert await spool.length() == 10
    await forwarder_to(server, spool, session, batch=5).forward_once(wait_ms=1)
    await spool.append([event(12)])
    assert await spool.length() == 6
    await server.close()
