"""`python -m bench.copies [--records N]`: how fast the copies on other shards follow the log.

Fills the log of an embedded Postgres with likes, follows and totals among some thousand people, as a busy hour would,
and lets the consumer `copies` read it to its end. The peer, in the same run and on records of the same kind: one at a
time, each in transactions of its own, as the consumer worked before.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from foundation.settings import Secret
from foundation.stores.outbox import LogConsumer, Record
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family, PostgresServer, shard_of
from origin.consumers import FOLLOW_CHANGED, USER_LIKES
from origin.copies import Copies
from origin.engagement.engagement_store import ENGAGED
from origin.migrate import migrate_all
from popreel.embedded.ports import free_ports
from popreel.embedded.postgres import EmbeddedPostgres

PEOPLE = 5_000
SINGLE = 1_000
"""Records of the peer: enough to time, few enough to wait for."""


def make_records(count: int, *, seed: int) -> list[Record]:
    """80 % likes (a tenth taken back), 10 % follows, 10 % totals of creators; a few people get most of them."""
    rng = random.Random(seed)
    now = dt.datetime.now(tz=dt.UTC)
    records = []
    for seq in range(1, count + 1):
        user, owner = rng.randint(1, PEOPLE), int(PEOPLE ** rng.random())
        kind = rng.random()
        body: dict[str, object]
        if kind < 0.8:
            topic = ENGAGED
            body = {"userId": str(user), "videoId": str(10_000 + owner), "kind": "like", "ownerId": str(owner)}
            body["on"] = rng.random() < 0.9
        elif kind < 0.9:
            topic, body = FOLLOW_CHANGED, {"followerId": str(user), "followeeId": str(owner), "on": True}
        else:
            topic, body = USER_LIKES, {"userId": str(owner), "likes": rng.randint(1, 50)}
        payload = msgspec.json.encode(body).decode()
        records.append(Record(seq=seq, topic=topic, key=str(owner), payload=payload, created_at=now))
    return records


async def fill(shards: Shards, records: Sequence[Record]) -> None:
    async with shards.control() as connection:
        await connection.copy_records_to_table(
            "users",
            records=[(user, shard_of(Family.USER, user), f"u{user}", f"u{user}") for user in range(1, PEOPLE + 1)],
            columns=["id", "shard", "username", "display_name"],
        )
        await connection.copy_records_to_table(
            "outbox_log",
            records=[(r.seq, "pg1", r.seq, r.topic, r.key, r.payload, r.created_at) for r in records],
            columns=["seq", "source", "source_id", "topic", "key", "payload", "created_at"],
        )


async def measure(dsn: str, count: int) -> tuple[float, float]:
    """Records per second: in batches, and one at a time."""
    servers = (PostgresServer(name="pg1", dsn=Secret(dsn)),)
    await migrate_all(servers)
    shards = Shards(servers)
    await shards.open()
    try:
        records = make_records(count + SINGLE, seed=1)
        await fill(shards, records[:count])
        copies = Copies(shards)
        consumer = LogConsumer(shards, name="copies", handle=copies.handle)
        begun = time.perf_counter()
        while await consumer.consume_once():
            pass
        batched = count / (time.perf_counter() - begun)
        begun = time.perf_counter()
        for record in records[count:]:
            await copies.handle([record])
        return batched, SINGLE / (time.perf_counter() - begun)
    finally:
        await shards.close()


async def run(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        server = EmbeddedPostgres(data_dir=path / "postgres", log_file=path / "postgres.log", port=free_ports(1)[0])
        await server.start()
        await server.ready()
        try:
            batched, single = await measure(await server.create_database("copies"), count)
        finally:
            await server.stop()
    print(f"copies, by batches of the log: {batched:,.0f} records/s")
    print(f"the same, one at a time:       {single:,.0f} records/s   ratio {batched / single:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.copies")
    parser.add_argument("--records", type=int, default=50_000)
    asyncio.run(run(parser.parse_args().records))


if __name__ == "__main__":
    main()
