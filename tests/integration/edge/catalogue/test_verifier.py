"""A replica that says something else than the origin finds out by itself and heals."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import asyncpg
import msgspec
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from edge.catalogue.origin_client import HttpCatalogueOrigin
from edge.catalogue.replica import CatalogueReplica
from edge.catalogue.verifier import ReplicaVerifier, Verdict
from foundation.catalogue_checksum import LARGEST_ID, RANGE_DIGEST, checksum
from foundation.settings import Secret
from foundation.wire.catalogue import CatalogueChange, CatalogueItem, RangeDigest, SnapshotHead
from tests import catalogue_items

from .test_replica import Origin, item, replica_of

VIDEOS = 25


class DigestingOrigin(Origin):
    """The origin of the replica's tests, with digests and ranges; `meanwhile` happens between digest and answer."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[CatalogueChange] = []

    def between(self, after: int, up_to: int) -> list[CatalogueItem]:
        return [
            video for key, video in sorted(self.live().items(), key=lambda p: int(p[0])) if after < int(key) <= up_to
        ]

    async def digest(self, request: web.Request) -> web.Response:
        after, limit = int(request.query["after"]), int(request.query["limit"])
        part = self.between(after, LARGEST_ID)[:limit]
        last = len(part) < limit
        reply = RangeDigest(
            seq=self.head,
            up_to=str(LARGEST_ID) if last else part[-1].id,
            count=len(part),
            digest=str(sum(map(checksum, part))),
            last=last,
        )
        if self.meanwhile:
            await self.add(*self.meanwhile)
        return web.Response(body=msgspec.json.encode(reply))

    async def snapshot(self, request: web.Request) -> web.Response:
        self.snapshots += 1
        items = self.between(int(request.query.get("after", 0)), int(request.query.get("upTo", LARGEST_ID)))
        lines = [msgspec.json.encode(SnapshotHead(seq=self.head, count=len(items))), *map(msgspec.json.encode, items)]
        return web.Response(body=b"\n".join(lines) + b"\n")

    def app(self) -> web.Application:
        app = super().app()
        app.router.add_get("/internal/v1/catalogue/digest", self.digest)
        return app


class Bench:
    def __init__(self, origin: DigestingOrigin, replica: CatalogueReplica, verifier: ReplicaVerifier) -> None:
        self.origin, self.replica, self.verifier = origin, replica, verifier
        self.gone: list[int] = []

    async def round(self) -> list[Verdict]:
        """Three ranges of ten cover all 25."""
        return [await self.verifier.step() for _ in range(3)]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    origin = DigestingOrigin()
    for number in range(1, VIDEOS + 1):
        await origin.upsert(item(number, title=f"Film {number}"))
    async with aiohttp.ClientSession() as session, TestServer(origin.app()) as server:
        gone: list[int] = []
        replica = replica_of(server, session, tmp_path, gone)
        await replica.open()
        await replica.wait_for(VIDEOS)
        client = HttpCatalogueOrigin(session, base_url=str(server.make_url("/")), service_key=Secret("key"))
        verifier = ReplicaVerifier(replica, client, every_s=3600, registry=CollectorRegistry(), videos=10)
        made = Bench(origin, replica, verifier)
        made.gone = gone
        yield made
        await replica.close()


async def test_a_sound_replica_is_found_sound(bench: Bench) -> None:
    assert await bench.round() == [Verdict.EQUAL] * 3
    assert bench.origin.snapshots == 1


def flip_a_vector(replica: CatalogueReplica) -> None:
    replica.columns.vector[replica.columns.row_of[3], 7] += 1


def lose_a_row(replica: CatalogueReplica) -> None:
    replica.columns.remove(5)


def forget_a_video(replica: CatalogueReplica) -> None:
    replica._drop(6)


def miss_an_edit(replica: CatalogueReplica) -> None:
    old = CatalogueChange(seq=-1, kind="upsert", video_id="8", item=item(8, title="Before the edit"))
    [place] = replica._journal.append([old])
    replica._apply(old, place)


def damage_the_journal(replica: CatalogueReplica) -> None:
    offset, _ = replica._places[9]
    with replica._journal._path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x00\x00")
    replica._decoded.clear()


def keep_a_ghost(replica: CatalogueReplica) -> None:
    ghost = CatalogueChange(seq=-1, kind="upsert", video_id="10", item=item(10))
    [place] = replica._journal.append([ghost])
    replica._apply(ghost, place)


@pytest.mark.parametrize(
    "damage", [flip_a_vector, lose_a_row, forget_a_video, miss_an_edit, damage_the_journal, keep_a_ghost]
)
async def test_a_damaged_replica_heals(bench: Bench, damage: Callable[[CatalogueReplica], None]) -> None:
    await bench.origin.add(CatalogueChange(seq=VIDEOS + 1, kind="tombstone", video_id="10"))
    await bench.replica.wait_for(VIDEOS + 1)
    damage(bench.replica)
    assert (await bench.round())[0] is Verdict.MENDED
    assert await bench.round() == [Verdict.EQUAL] * 3
    columns = bench.replica.columns
    assert set(columns.row_of) == set(range(1, VIDEOS + 1)) - {10}
    assert columns.live == VIDEOS - 1
    for number in columns.row_of:
        assert bench.replica.item(number) == item(number, title=f"Film {number}")
        assert np.array_equal(columns.vector[columns.row_of[number]], np.full(256, 1 / 16, np.float16))


async def test_changes_on_the_way_are_not_taken_for_damage(bench: Bench) -> None:
    edit = CatalogueChange(seq=VIDEOS + 1, kind="upsert", video_id="3", item=item(3, title="New title"))
    bench.origin.meanwhile = [edit]
    first = await bench.verifier.step()
    await bench.replica.wait_for(VIDEOS + 1)
    bench.origin.meanwhile = []
    assert first in (Verdict.EQUAL, Verdict.MOVED)
    assert bench.origin.snapshots == 1
    await bench.verifier.step()
    await bench.verifier.step()
    assert await bench.round() == [Verdict.EQUAL] * 3
    assert (found := bench.replica.item(3)) is not None
    assert found.title == "New title"


async def test_without_the_origin_nothing_is_touched(bench: Bench, tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        nobody = HttpCatalogueOrigin(session, base_url="http://127.0.0.1:9", service_key=Secret("key"))
        lost = ReplicaVerifier(bench.replica, nobody, every_s=3600, registry=CollectorRegistry())
        assert await lost.step() is Verdict.UNREACHABLE
    assert bench.replica.columns.live == VIDEOS


@pytest.fixture
def fresh_dsn(postgres_database: Callable[[], str]) -> str:
    return postgres_database()


async def test_postgres_and_the_pop_compute_the_same_checksum(fresh_dsn: str) -> None:
    vector = np.random.default_rng(1).standard_normal(256)
    items = [
        catalogue_items.video(1, vector=vector),
        catalogue_items.video(2, title='Straße "quoted" \\ \u00e9\u200b \U0001f3a5', hashtags=("a", "b,c", "ünïcode")),
        catalogue_items.video(3, embedding=None, embedding_space="", description="line\nbreak\ttab"),
        catalogue_items.video(40, visibility="followers", region="eu-west", revision=7, published_s=1_790_000_000.123),
    ]
    connection = await asyncpg.connect(fresh_dsn)
    try:
        await connection.execute("create table catalogue_items (video_id bigint primary key, item jsonb not null)")
        await connection.executemany(
            "insert into catalogue_items values ($1, $2)",
            [(int(video.id), json.dumps(json.loads(msgspec.json.encode(video)))) for video in items],
        )
        whole = await connection.fetchrow(RANGE_DIGEST, 0, 1000)
        assert (whole["count"], whole["up_to"], whole["digest"]) == (4, 40, str(sum(map(checksum, items))))
        for video in items:
            row = await connection.fetchrow(RANGE_DIGEST, int(video.id) - 1, 1)
            assert row["digest"] == str(checksum(video)), video.id
        empty = await connection.fetchrow(RANGE_DIGEST, 40, 10)
        assert (empty["count"], empty["up_to"], empty["digest"]) == (0, 40, "0")
    finally:
        await connection.close()
