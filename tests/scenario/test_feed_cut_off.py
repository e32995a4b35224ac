"""A PoP without its centre: it goes on serving and learning, keeps every event, and catches up when the centre
returns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import numpy as np
import pytest
from aiohttp import web
from redis.asyncio import Redis

from edge.catalogue.origin_client import HttpCatalogueOrigin
from edge.catalogue.replica import CatalogueReplica
from edge.events.forwarder import EventForwarder, HttpEventOrigin
from edge.events.spool import EventSpool
from edge.feed.ports import NoDelivery, NoUserContext, Viewer
from edge.feed.service import Feed
from edge.feed.settings import FeedSettings
from foundation.settings import Secret
from foundation.wire.catalogue import CatalogueChange, CatalogueChanges, CatalogueItem, SnapshotHead
from foundation.wire.events import EventBatch, EventReceipt, WatchReport
from inference.feed.columns import FeedColumns
from popreel.embedded.ports import free_ports
from tests import catalogue_items

NOW_S = 1_790_000_000.0


def video(video_id: int) -> CatalogueItem:
    vector = np.random.default_rng(video_id % 5).standard_normal(256)
    vector += 0.3 * np.random.default_rng(video_id).standard_normal(256)
    return catalogue_items.video(video_id, vector=vector / np.linalg.norm(vector), published_s=NOW_S - 3600)


class Centre:
    """Catalogue and event endpoints on one port; `up` and `down` open and close the socket."""

    def __init__(self) -> None:
        self.port = free_ports(1)[0]
        self.log: list[CatalogueChange] = []
        self.events: set[str] = set()
        self.received = asyncio.Condition()
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def up(self) -> None:
        app = web.Application()
        app.router.add_get("/internal/v1/catalogue/snapshot", self._snapshot)
        app.router.add_get("/internal/v1/catalogue/changes", self._changes)
        app.router.add_post("/internal/v1/events", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def down(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def change(self, change: CatalogueChange) -> None:
        async with self._changed:
            self.log.append(change)
            self._changed.notify_all()

    async def _snapshot(self, request: web.Request) -> web.Response:
        items = [change.item for change in self.log if change.item is not None]
        head = SnapshotHead(seq=self.log[-1].seq, count=len(items))
        return web.Response(body=b"\n".join(map(msgspec.json.encode, [head, *items])))

    async def _changes(self, request: web.Request) -> web.Response:
        after = int(request.query["after"])
        try:
            async with asyncio.timeout(int(request.query["waitMs"]) / 1000), self._changed:
                await self._changed.wait_for(lambda: self.log[-1].seq > after)
        except TimeoutError:
            pass
        found = tuple(change for change in self.log if change.seq > after)
        return web.Response(body=msgspec.json.encode(CatalogueChanges(changes=found, head=self.log[-1].seq)))

    async def _take(self, request: web.Request) -> web.Response:
        batch = msgspec.json.decode(await request.read(), type=EventBatch)
        fresh = {event.event_id for event in batch.events} - self.events
        async with self.received:
            self.events |= fresh
            self.received.notify_all()
        receipt = EventReceipt(accepted=len(fresh), duplicates=len(batch.events) - len(fresh))
        return web.Response(body=msgspec.json.encode(receipt))


class Pop:
    def __init__(self, replica: CatalogueReplica, feed: Feed, forwarder: EventForwarder, spool: EventSpool) -> None:
        self.replica, self.feed, self.forwarder, self.spool = replica, feed, forwarder, spool
        self.gone: list[int] = []


@pytest.fixture
async def centre() -> AsyncIterator[Centre]:
    made = Centre()
    for number in range(1, 201):
        made.log.append(CatalogueChange(seq=number, kind="upsert", video_id=str(number), item=video(number)))
    await made.up()
    yield made
    await made.down()


@pytest.fixture
async def pop(centre: Centre, valkey_url: str, tmp_path: Path) -> AsyncIterator[Pop]:
    valkey = Redis.from_url(valkey_url)
    url = f"http://127.0.0.1:{centre.port}"
    async with aiohttp.ClientSession() as session:
        replica = CatalogueReplica(
            data_dir=tmp_path,
            origin=HttpCatalogueOrigin(session, base_url=url, service_key=Secret("k")),
            columns=FeedColumns(space="content-1"),
            retry_first_s=0.02,
            retry_most_s=0.1,
        )
        await replica.open()
        await replica.wait_for(200)
        feed = await Feed.open(
            FeedSettings(store_timeout_s=5, rank_timeout_s=10),
            valkey=valkey,
            catalogue=replica,
            delivery_port=NoDelivery(),
            clock=lambda: NOW_S,
            rng=np.random.default_rng(1),
            user_context=NoUserContext(),
            region="us-east",
            pop_id="p",
        )
        spool = EventSpool(valkey)
        forwarder = EventForwarder(
            spool,
            HttpEventOrigin(session, base_url=url, service_key=Secret("k")),
            pop_id="p",
            batch=200,
            retry_first_s=0.02,
            retry_most_s=0.1,
        )
        forwarder.open()
        yield Pop(replica, feed, forwarder, spool)
        await forwarder.close()
        await feed.close()
        await replica.close()
    await valkey.aclose()


async def test_cut_off_it_serves_learns_and_loses_no_event_and_then_catches_up(centre: Centre, pop: Pop) -> None:
    viewer = Viewer(id="d:1")
    await centre.down()
    sent: set[str] = set()
    cursor, shown = None, list[str]()
    for _ in range(8):
        page = await pop.feed.page(viewer, count=10, cursor=cursor)
        assert len(page.videos) == 10
        assert not page.is_fallback
        reports = [WatchReport(video_id=v.id, watch_duration=15_000, total_duration=20_000) for v in page.videos]
        sent |= set(await pop.feed.record(viewer, reports))
        cursor, shown = page.next_cursor, shown + [v.id for v in page.videos]
    assert len(set(shown)) == 80
    assert await pop.spool.length() == 80

    await centre.up()
    async with asyncio.timeout(60), centre.received:
        await centre.received.wait_for(lambda: centre.events >= sent)
    await centre.change(CatalogueChange(seq=201, kind="upsert", video_id="201", item=video(201)))
    async with asyncio.timeout(60):
        await pop.replica.wait_for(201)
    assert pop.replica.columns.live == 201


async def test_ten_minutes_of_events_wait_for_the_centre_and_arrive_exactly_once(centre: Centre, pop: Pop) -> None:
    """Twenty reports a second for ten minutes; the centre returns, goes away in the middle of the replay, returns."""
    await centre.down()
    sent: set[str] = set()
    for second in range(0, 600, 5):
        viewer = Viewer(id=f"d:{second % 40}")
        reports = [
            WatchReport(
                event_id=f"{second}-{number}", video_id=str(1 + number), watch_duration=9000, total_duration=20_000
            )
            for number in range(100)
        ]
        sent |= set(await pop.feed.record(viewer, reports))
    assert len(sent) == 12_000
    assert await pop.spool.length() == 12_000
    page = await pop.feed.page(Viewer(id="d:new"), count=10, cursor=None)
    assert len(page.videos) == 10
    assert not page.is_fallback

    await centre.up()
    async with asyncio.timeout(60), centre.received:
        await centre.received.wait_for(lambda: len(centre.events) > 2000)
    await centre.down()
    await centre.up()
    async with asyncio.timeout(60), centre.received:
        await centre.received.wait_for(lambda: len(centre.events) >= len(sent))
    assert centre.events == sent


async def test_a_deletion_leaves_the_feed_with_its_next_page(centre: Centre, pop: Pop) -> None:
    viewer = Viewer(id="d:2")
    page = await pop.feed.page(viewer, count=10, cursor=None)
    left = sorted(set(range(1, 201)) - {int(v.id) for v in page.videos})
    for number, video_id in enumerate(left[:150], start=201):
        await centre.change(CatalogueChange(seq=number, kind="tombstone", video_id=str(video_id)))
    async with asyncio.timeout(60):
        await pop.replica.wait_for(350)
    rest = await pop.feed.page(viewer, count=50, cursor=page.next_cursor)
    assert {int(v.id) for v in rest.videos} == set(left[150:])
