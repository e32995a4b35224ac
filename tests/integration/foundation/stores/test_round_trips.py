"""Round trips that many requests share: own replies in order, own failures, and a server that comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, RedisError, ResponseError

from foundation.stores.round_trips import RoundTrips
from popreel.embedded.valkey import EmbeddedValkey


async def test_callers_get_their_own_replies_and_what_waits_leaves_together(valkey_url: str) -> None:
    client = Redis.from_url(valkey_url)
    trips = RoundTrips(client)
    before = (await client.info("stats"))["total_reads_processed"]
    replies = await asyncio.gather(
        *(trips.send(("SET", f"t:{n}", n, "EX", 60), ("GET", f"t:{n}"), ("INCR", "t:all")) for n in range(200))
    )
    assert [reply[:2] for reply in replies] == [[b"OK", b"%d" % n] for n in range(200)]
    assert [reply[2] for reply in replies] == list(range(1, 201))
    after = (await client.info("stats"))["total_reads_processed"]
    assert after - before < 50  # 200 requests, a few trips
    await trips.close()
    await client.aclose()


async def test_a_command_that_fails_is_its_callers_failure_alone(valkey_url: str) -> None:
    client = Redis.from_url(valkey_url)
    trips = RoundTrips(client)
    await trips.send(("SET", "t:text", "abc"))
    good, bad, also_good = await asyncio.gather(
        trips.send(("GET", "t:text")),
        trips.send(("GET", "t:text"), ("INCR", "t:text")),
        trips.send(("STRLEN", "t:text")),
        return_exceptions=True,
    )
    assert good == [b"abc"]
    assert isinstance(bad, ResponseError)
    assert also_good == [3]
    await trips.close()
    await client.aclose()


async def test_a_caller_that_stops_waiting_disturbs_nobody(valkey_url: str) -> None:
    client = Redis.from_url(valkey_url)
    trips = RoundTrips(client)
    impatient, patient = trips.send(("SET", "t:left", 1)), trips.send(("GET", "t:left"))
    impatient.cancel()
    assert await patient == [b"1"]
    await trips.close()
    await client.aclose()


async def test_more_than_may_wait_is_refused(valkey_url: str) -> None:
    client = Redis.from_url(valkey_url)
    trips = RoundTrips(client)
    sent = trips.send(*[("PING",)] * 15_000)
    with pytest.raises(BusyLoadingError):
        await trips.send(*[("PING",)] * 15_000)
    assert len(await sent) == 15_000
    await trips.close()
    await client.aclose()


async def test_it_fails_at_once_while_valkey_is_away_and_works_when_it_is_back(
    valkey_server: Callable[[str], EmbeddedValkey],
) -> None:
    server = valkey_server("trips")
    await server.start()
    await server.ready()
    client = Redis.from_url(server.endpoint)
    trips = RoundTrips(client)
    assert await trips.send(("SET", "t", 1)) == [b"OK"]
    await server.stop()
    for _ in range(2):
        with pytest.raises((RedisError, OSError)):
            await trips.send(("GET", "t"))
    await server.start()
    await server.ready()
    assert await trips.send(("GET", "t")) == [b"1"]
    await trips.close()
    await client.aclose()
