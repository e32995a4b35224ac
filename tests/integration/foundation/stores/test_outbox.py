"""The outbox: nothing lost, nothing twice, dense and in order per key, whatever is cut off in the middle."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from foundation.settings import Secret
from foundation.stores.errors import ShardUnavailable
from foundation.stores.outbox import LogConsumer, Record, Relay, append
from foundation.stores.postgres import Connection, Shards
from foundation.stores.shard_map import Family, PostgresServer, shard_of
from origin.migrate import migrate_all


@pytest.fixture
def dsns(postgres_database: Callable[[], str]) -> tuple[str, str]:
    return postgres_database(), postgres_database()


@pytest.fixture
async def shards(dsns: tuple[str, str]) -> AsyncIterator[Shards]:
    await migrate_all(two_servers(dsns))
    shards = Shards(two_servers(dsns))
    await shards.open()
    yield shards
    await shards.close()


@pytest.fixture
async def relay_shards(dsns: tuple[str, str], shards: Shards) -> AsyncIterator[Shards]:
    """Pools of their own, as in the service: a relay holds one connection while it asks for another."""
    own = Shards(two_servers(dsns))
    await own.open()
    yield own
    await own.close()


def two_servers(dsns: tuple[str, str]) -> tuple[PostgresServer, ...]:
    return (
        PostgresServer(name="a", dsn=Secret(dsns[0]), videos="0-31", users="0-31"),
        PostgresServer(name="b", dsn=Secret(dsns[1]), videos="32-63"),
    )


class Broken(Exception):
    pass


class Breaking:
    """A projection that fails now and then: the batch must roll back whole."""

    def __init__(self) -> None:
        self.failures = 0

    async def apply(self, connection: Connection, records: Sequence[Record]) -> None:
        if random.random() < 0.3:
            self.failures += 1
            raise Broken


async def test_records_of_two_servers_make_one_dense_log_in_order_per_key(shards: Shards, relay_shards: Shards) -> None:
    videos = list(range(1, 40))
    assert len({shards.map.server(Family.VIDEO, shard_of(Family.VIDEO, video)) for video in videos}) == 2

    async def change(video: int, step: int) -> None:
        async with shards.write(Family.VIDEO, video) as connection:
            await connection.execute(
                """insert into videos (id, shard, owner_id) values ($1, $2, 1)
                   on conflict (id) do update set version = videos.version + 1""",
                video,
                shard_of(Family.VIDEO, video),
            )
            version = await connection.fetchval("select version from videos where id = $1", video)
            await asyncio.sleep(random.uniform(0, 0.01))
            await append(connection, topic="t", key=str(video), payload=version)
            if random.random() < 0.2:
                raise ZeroDivisionError  # rolled back: must not appear

    projection = Breaking()
    relays = [Relay(relay_shards, projections=(projection,)) for _ in range(3)]
    writing = asyncio.gather(*(change(video, step) for step in range(4) for video in videos), return_exceptions=True)

    async def relay_for_a_while(relay: Relay) -> None:
        while not writing.done():
            try:
                await relay.relay_once()
            except (Broken, ShardUnavailable):  # busy is no reason to end: the service's relay comes back, too
                continue

    await asyncio.gather(*(relay_for_a_while(relay) for relay in relays))
    outcomes = await writing
    quiet = Relay(shards, projections=())
    while await quiet.relay_once():
        pass
    async with shards.control() as connection:
        rows = await connection.fetch("select seq, key, payload from outbox_log order by seq")
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) == sum(outcome is None for outcome in outcomes)
    versions: dict[str, list[int]] = {}
    for row in rows:
        versions.setdefault(row["key"], []).append(int(row["payload"]))
    assert all(seen == sorted(seen) and len(set(seen)) == len(seen) for seen in versions.values())


async def test_a_record_copied_but_not_yet_deleted_is_not_copied_again(shards: Shards) -> None:
    async with shards.write(Family.VIDEO, 1) as connection:
        await append(connection, topic="t", key="1", payload={})
    name = shards.map.server(Family.VIDEO, shard_of(Family.VIDEO, 1))
    async with shards.servers[name].primary() as connection:
        row = await connection.fetchrow("select * from outbox")
    relay = Relay(shards, projections=())
    assert await relay.relay_once() == 1
    async with shards.servers[name].primary() as connection:  # as if the relay had died before its delete
        await connection.execute(
            """insert into outbox (id, topic, key, payload, created_at) overriding system value
               values ($1, $2, $3, $4, $5)""",
            *row,
        )
    assert await relay.relay_once() == 1
    async with shards.control() as connection:
        assert await connection.fetchval("select count(*) from outbox_log") == 1


async def test_a_consumer_that_fails_sees_the_same_records_again_and_two_share_one_position(shards: Shards) -> None:
    for number in range(5):
        async with shards.write(Family.VIDEO, 1) as connection:
            await append(connection, topic="t", key="1", payload=number)
    while await Relay(shards, projections=()).relay_once():
        pass
    seen: list[int] = []

    async def handle(records: Sequence[Record]) -> None:
        seen.extend(int(record.payload) for record in records)
        if len(seen) == 5:
            raise Broken

    consumers = [LogConsumer(shards, name="c", handle=handle) for _ in range(2)]
    with pytest.raises(Broken):
        await consumers[0].consume_once()
    assert sum(await asyncio.gather(*(consumer.consume_once() for consumer in consumers))) == 5
    assert seen == [*range(5), *range(5)]
    assert await consumers[0].consume_once() == 0
