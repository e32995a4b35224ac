"""The replica follows a real HTTP origin, survives its absence, and restarts warm."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from edge.catalogue.journal import CatalogueJournal
from edge.catalogue.origin_client import HttpCatalogueOrigin
from edge.catalogue.replica import CatalogueReplica
from foundation.settings import Secret
from foundation.wire.catalogue import CatalogueChange, CatalogueChanges, CatalogueItem, Counters, SnapshotHead
from inference.feed.columns import FeedColumns
from tests import catalogue_items


def item(video_id: int, title: str = "t", fill: float = 1.0) -> CatalogueItem:
    return catalogue_items.video(
        video_id, title=title, vector=np.full(256, fill / 16), creator=catalogue_items.creator(7)
    )


class Origin:
    """An origin's two catalogue endpoints over a list, with a real long poll."""

    def __init__(self) -> None:
        self.log: list[CatalogueChange] = []
        self.floor = 0
        self.snapshots = 0
        self._grown = asyncio.Condition()

    async def add(self, *changes: CatalogueChange) -> None:
        async with self._grown:
            self.log += changes
            self._grown.notify_all()

    async def upsert(self, video: CatalogueItem) -> None:
        await self.add(CatalogueChange(seq=self.head + 1, kind="upsert", video_id=video.id, item=video))

    @property
    def head(self) -> int:
        return self.log[-1].seq if self.log else 0

    def live(self) -> dict[str, CatalogueItem]:
        items: dict[str, CatalogueItem] = {}
        for change in self.log:
            if change.item is not None:
                items[change.video_id] = change.item
            elif change.kind == "tombstone":
                items.pop(change.video_id, None)
        return items

    async def changes(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer key"
        after, wait_s = int(request.query["after"]), int(request.query["waitMs"]) / 1000
        try:
            async with asyncio.timeout(wait_s), self._grown:
                await self._grown.wait_for(lambda: self.head > after)
        except TimeoutError:
            pass
        found = tuple(c for c in self.log if c.seq > after)[: int(request.query["limit"])]
        return web.Response(body=msgspec.json.encode(CatalogueChanges(changes=found, head=self.head, floor=self.floor)))

    async def snapshot(self, request: web.Request) -> web.Response:
        self.snapshots += 1
        items = self.live().values()
        lines = [msgspec.json.encode(SnapshotHead(seq=self.head, count=len(items))), *map(msgspec.json.encode, items)]
        return web.Response(body=b"\n".join(lines) + b"\n")

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/internal/v1/catalogue/changes", self.changes)
        app.router.add_get("/internal/v1/catalogue/snapshot", self.snapshot)
        return app


@pytest.fixture
async def origin() -> Origin:
    return Origin()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


def replica_of(
    server: TestServer | str, session: aiohttp.ClientSession, data: Path, gone: list[int]
) -> CatalogueReplica:
    return CatalogueReplica(
        data_dir=data,
        origin=HttpCatalogueOrigin(
            session,
            base_url=server if isinstance(server, str) else str(server.make_url("/")),
            service_key=Secret("key"),
        ),
        columns=FeedColumns(space="content-1"),
        on_tombstone=gone.append,
        retry_first_s=0.02,
        retry_most_s=0.05,
    )


async def test_it_takes_a_snapshot_then_follows_adds_counters_and_tombstones(
    origin: Origin, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    for video_id in (1, 2, 3):
        await origin.upsert(item(video_id))
    gone: list[int] = []
    async with TestServer(origin.app()) as server:
        replica = replica_of(server, session, tmp_path, gone)
        await replica.open()
        await replica.wait_for(3)
        assert replica.columns.live == 3
        await origin.upsert(item(4))
        await origin.upsert(item(2, title="new", fill=-1.0))
        await origin.add(
            CatalogueChange(seq=6, kind="counters", video_id="1", counters=Counters(views=5)),
            CatalogueChange(seq=7, kind="tombstone", video_id="3"),
        )
        await replica.wait_for(7)
        assert gone == [3]
        assert replica.item(3) is None
        changed = replica.item(2)
        assert changed is not None
        assert changed.title == "new"
        row = replica.columns.row_of[2]
        assert replica.columns.vector[row][0] < 0
        assert replica.columns.views[replica.columns.row_of[1]] == 5
        assert replica.state.connected
        await replica.close()


async def test_a_restart_without_the_origin_has_everything(
    origin: Origin, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    for video_id in range(1, 1200):
        await origin.upsert(item(video_id))
    async with TestServer(origin.app()) as server:
        first = replica_of(server, session, tmp_path, [])
        await first.open()
        await first.wait_for(1199)
        await first.close()
    again = replica_of("http://127.0.0.1:1", session, tmp_path, [])
    await again.open()
    assert again.columns.live == 1199
    assert again.state.seq == 1199
    assert again.item(1000) == item(1000)
    assert not again.state.connected
    await again.close()


async def test_a_torn_journal_loses_only_its_tail_and_the_log_gives_it_again(
    origin: Origin, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    for video_id in range(1, 11):
        await origin.upsert(item(video_id))
    async with TestServer(origin.app()) as server:
        first = replica_of(server, session, tmp_path, [])
        await first.open()
        await first.wait_for(10)
        await origin.upsert(item(11))
        await first.wait_for(11)
        await first.close()
        path = tmp_path / "catalogue.journal"
        path.write_bytes(path.read_bytes()[:-7])
        again = replica_of(server, session, tmp_path, [])
        await again.open()
        await again.wait_for(11)
        assert again.columns.live == 11
        assert origin.snapshots == 1
        await again.close()


async def test_away_for_longer_than_the_log_reaches_takes_a_snapshot_and_drops_what_is_gone(
    origin: Origin, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    for video_id in (1, 2):
        await origin.upsert(item(video_id))
    gone: list[int] = []
    async with TestServer(origin.app()) as server:
        replica = replica_of(server, session, tmp_path, gone)
        await replica.open()
        await replica.wait_for(2)
        await replica.close()
        origin.log = [CatalogueChange(seq=90, kind="upsert", video_id="5", item=item(5))]
        origin.floor = 80
        again = replica_of(server, session, tmp_path, gone)
        await again.open()
        await again.wait_for(90)
        assert set(again.ids()) == {5}
        assert gone == [1, 2]
        await again.close()


async def test_a_damaged_vector_leaves_the_video_without_one(
    origin: Origin, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    broken = base64.b64encode(np.full(256, np.nan, "<f2").tobytes()).decode()
    await origin.upsert(msgspec.structs.replace(item(1), embedding=broken))
    await origin.upsert(msgspec.structs.replace(item(2), embedding="!!"))
    await origin.upsert(msgspec.structs.replace(item(3), embedding_space="other"))
    async with TestServer(origin.app()) as server:
        replica = replica_of(server, session, tmp_path, [])
        await replica.open()
        await replica.wait_for(3)
        assert replica.columns.live == 3
        assert not replica.columns.has_vector.any()
        await replica.close()


def test_a_rewritten_journal_keeps_the_live_items_and_the_position(tmp_path: Path) -> None:
    journal = CatalogueJournal(tmp_path / "j")
    changes = [CatalogueChange(seq=n, kind="upsert", video_id=str(n), item=item(n)) for n in range(1, 6)]
    places = journal.append(changes)
    fresh, moved = journal.rewritten(places[3:], CatalogueChange(seq=9, kind="tombstone", video_id="0"))
    assert fresh.read(moved[0]) == changes[3]
    assert journal.read(places[0]) == changes[0], "who still holds old places reads the old file"
    journal.close()
    fresh.append([CatalogueChange(seq=10, kind="tombstone", video_id="4")])
    fresh.close()
    again = CatalogueJournal(tmp_path / "j")
    assert [(c.seq, c.kind) for c, _ in again.replay()] == [
        (4, "upsert"),
        (5, "upsert"),
        (9, "tombstone"),
        (10, "tombstone"),
    ]
    again.close()
