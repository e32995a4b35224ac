"""Everything at once on a cache far too small: whatever arrives belongs to the ETag and the range it says it does."""

from __future__ import annotations

import asyncio
import random
import re

import pytest

from edge.delivery.lab.edge_under_test import Edge
from edge.delivery.lab.raw_client import Got
from edge.delivery.lab.scripted_origin import Asked, Reply, file_reply
from foundation.wire.pops import PurgeOrder

OBJECTS = 12
CLIENTS = 20
REQUESTS = 25


class World:
    """Objects whose bytes follow from their name and version; versions move on at random moments."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.version = [0] * OBJECTS

    def body(self, number: int, version: int) -> bytes:
        made = random.Random(number * 1000 + version)
        return made.randbytes(made.randrange(5_000, 260_000))

    def answer(self, asked: Asked) -> Reply:
        number = int(re.search(r"/o([0-9]+)\.", asked.target)[1])
        version = self.version[number]
        headers = {"Cache-Control": "public, max-age=2, stale-while-revalidate=1", "Cache-Tag": f"o{number}"}
        etag = f'"{number}-{version}"' if asked.target.endswith(".mp4") else f'W/"{number}-{version}"'
        reply = file_reply(asked, self.body(number, version), etag=etag, headers=headers)
        if asked.target.endswith(".bin") and self.rng.random() < 0.5:
            reply.framing = "chunked"
        if self.rng.random() < 0.04 and reply.body:
            reply.cut_after = self.rng.randrange(len(reply.body))
        return reply

    def check(self, got: Got) -> None:
        number, version = map(int, re.search(r"([0-9]+)-([0-9]+)", got.headers["ETag"]).groups())
        body = self.body(number, version)
        if got.status == 206:
            first, last, total = map(int, re.findall(r"[0-9]+", got.headers["Content-Range"]))
            assert total == len(body)
            body = body[first : last + 1]
        assert got.body == body if got.complete else body.startswith(got.body)


async def view(edge: Edge, world: World, rng: random.Random, statuses: list[int]) -> None:
    for _ in range(REQUESTS):
        target = f"/o{rng.randrange(OBJECTS)}.{rng.choice(['mp4', 'mp4', 'bin'])}"
        fields = {}
        if rng.random() < 0.6:
            first = rng.randrange(200_000)
            fields["range"] = f"bytes={first}-{first + rng.randrange(120_000)}"
        got = await edge.get(target, **fields)
        statuses.append(got.status)
        if got.status in (200, 206):
            world.check(got)


async def disturb(edge: Edge, world: World, rng: random.Random) -> None:
    while True:
        await asyncio.sleep(0.002)
        number = rng.randrange(OBJECTS)
        match rng.randrange(4):
            case 0:
                world.version[number] += 1
            case 1:
                edge.clock.advance(1)
            case 2:
                await edge.delivery.purge(PurgeOrder(seq=0, tag=f"o{number}", soft=rng.random() < 0.5))
            case _:
                await edge.delivery.purge(PurgeOrder(seq=0, prefix=f"/o{number}."))


@pytest.mark.parametrize("seed", [1, 2])
async def test_bytes_always_belong_to_their_etag(open_edge, origin, tmp_path, seed):
    world = World(seed)
    origin.script = world.answer
    edge = await open_edge(cache_dir=tmp_path, ram_bytes=1 << 20, disk_bytes=2 << 20, max_objects=16)
    statuses: list[int] = []
    trouble = asyncio.create_task(disturb(edge, world, random.Random(seed)))
    async with asyncio.TaskGroup() as viewers:
        for client in range(CLIENTS):
            viewers.create_task(view(edge, world, random.Random(seed * 100 + client), statuses))
    trouble.cancel()
    await asyncio.gather(trouble, return_exceptions=True)
    assert len(statuses) == CLIENTS * REQUESTS
    assert set(statuses) <= {200, 206, 416, 502}
    assert sum(status in (200, 206) for status in statuses) > len(statuses) * 0.5
    assert edge.delivery.tally.fast.hits > 0
