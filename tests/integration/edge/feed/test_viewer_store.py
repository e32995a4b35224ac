"""Viewers in memory and in Valkey: read once, never overwritten by what was not known, forgotten in time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import numpy as np
import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from edge.feed.session import Session
from edge.feed.viewer_store import ViewerRecord, ViewerStore
from foundation.stores.round_trips import RoundTrips
from inference.feed.taste import Taste
from popreel.embedded.valkey import EmbeddedValkey

from .conftest import NOW_S, Clock

WEEK_S = 7 * 86_400


@dataclass
class Opened:
    store: ViewerStore
    clock: Clock
    client: Redis
    trips: RoundTrips


Open = Callable[[str], Opened]


@pytest.fixture
async def open_store() -> AsyncIterator[Open]:
    opened: list[Opened] = []

    def make(url: str) -> Opened:
        client, clock = Redis.from_url(url), Clock()
        trips = RoundTrips(client)
        store = ViewerStore(
            trips,
            space_of=lambda viewer_id: "content-1",
            clock=clock,
            timeout_s=5,
            session_s=1800,
            memory_viewers=10,
            taste_in=lambda space, taste: taste,
        )
        opened.append(Opened(store, clock, client, trips))
        return opened[-1]

    yield make
    for made in opened:
        await made.trips.close()
        await made.client.aclose()


def known(likes: int) -> ViewerRecord:
    sums = np.full((6, 256), 0.25, np.float32)
    return ViewerRecord(taste=Taste(space="content-1", sums=sums, events=likes, likes=likes), session=Session(id="s"))


async def test_a_viewer_is_read_once_and_survives_in_valkey(valkey_url: str, open_store: Open) -> None:
    first = open_store(valkey_url)
    assert await first.store.save("d:once", known(7), watched=[5, 9])
    await first.client.delete("feed:{d:once}:session")
    again = await first.store.load("d:once")
    assert again.session is not None  # memory is the truth
    assert again.seen.tolist() == [5, 9]
    elsewhere = await open_store(valkey_url).store.load("d:once")
    assert elsewhere.session is None
    assert elsewhere.taste.likes == 7
    assert elsewhere.seen.tolist() == [5, 9]


async def test_a_viewer_met_while_valkey_is_away_is_not_overwritten(
    valkey_server: Callable[[str], EmbeddedValkey], open_store: Open
) -> None:
    server = valkey_server("blank")
    await server.start()
    await server.ready()
    await open_store(server.endpoint).store.save("d:old", known(40), watched=[1, 2])
    await server.stop()

    later = open_store(server.endpoint)
    blank = await later.store.load("d:old")
    assert blank.from_memory
    assert blank.taste.likes == 0
    served = replace(blank, session=Session(id="new"))
    assert not await later.store.save("d:old", served, watched=[3])

    await server.start()
    await server.ready()
    later.clock.now_s += 2  # past the breaker's pause
    whole = await later.store.load("d:old")
    assert whole.taste.likes == 40
    assert whole.session is not None
    assert whole.session.id == "new"
    assert whole.seen.tolist() == [1, 2, 3]
    assert await later.store.save("d:old", whole)
    stored = await open_store(server.endpoint).store.load("d:old")
    assert stored.taste.likes == 40
    assert stored.seen.tolist() == [1, 2, 3]
    assert not (await later.store.load("d:old")).from_memory


async def test_an_idle_session_ends_and_old_watches_are_forgotten(valkey_url: str, open_store: Open) -> None:
    opened = open_store(valkey_url)
    await opened.store.save("d:idle", known(3), watched=[5])
    opened.clock.now_s = NOW_S + 1700
    assert (await opened.store.load("d:idle")).session is not None
    opened.clock.now_s = NOW_S + 1900
    ended = await opened.store.load("d:idle")
    assert ended.session is None
    assert ended.taste.likes == 3
    opened.clock.now_s = NOW_S + 6 * WEEK_S
    assert (await opened.store.load("d:idle")).seen.tolist() == []


async def test_memory_holds_so_many_viewers_and_no_more(valkey_url: str, open_store: Open) -> None:
    opened = open_store(valkey_url)
    for number in range(25):
        await opened.store.save(f"d:many-{number}", known(number))
    assert len(opened.store._memory) == 10
    assert (await opened.store.load("d:many-0")).taste.likes == 0
    assert (await opened.store.load("d:many-3")).taste.likes == 3
