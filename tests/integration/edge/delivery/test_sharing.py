"""Single flight: one fetch for all who may share it; leaders that leave; answers that may not be shared."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import pytest

from edge.delivery.ask import Ask
from edge.delivery.lab.edge_under_test import Edge
from edge.delivery.lab.scripted_origin import Asked, Reply, file_reply
from edge.delivery.store.stored_response import StoredResponse
from edge.delivery.upstream.fetcher import Outcome
from foundation.wire.pops import PurgeOrder

BODY = random.Random(2).randbytes(400_000)


def all_in(edge: Edge, monkeypatch: pytest.MonkeyPatch, *, requests: int) -> asyncio.Event:
    """Set once so many requests have asked for a fetch: from then on all of them wait for one, or lead it."""
    arrived, fetch, everybody = itertools.count(1), edge.delivery.fetcher.fetch, asyncio.Event()

    async def counted(ask: Ask, validating: StoredResponse | None, **options: Any) -> Outcome:
        if next(arrived) == requests:
            everybody.set()
        return await fetch(ask, validating, **options)

    monkeypatch.setattr(edge.delivery.fetcher, "fetch", counted)
    return everybody


async def test_a_thousand_misses_of_one_object_make_one_fetch(edge, monkeypatch):
    everybody = all_in(edge, monkeypatch, requests=1000)

    async def script(asked: Asked) -> Reply:
        await everybody.wait()
        return Reply(headers={"Cache-Control": "max-age=9"}, body=BODY)

    edge.origin.script = script
    answers = await asyncio.gather(*(edge.get("/a") for _ in range(1000)))
    assert all(got.body == BODY for got in answers)
    assert len(edge.origin.asked) == 1
    assert sum("collapsed" in got.headers["Cache-Status"] for got in answers) == 999


async def test_bytes_stream_through_before_the_object_is_whole(edge):
    release = asyncio.Event()
    edge.origin.script = lambda asked: Reply(
        headers={"Cache-Control": "max-age=9"}, body=BODY, pace=(100_000, _after_first(release))
    )
    async with edge.client() as one, edge.client() as two:
        for client in (one, two):
            await client.send(b"GET /a HTTP/1.1\r\nHost: e\r\n\r\n")
        for client in (one, two):
            await client._read_head()
            assert await client._reader.readexactly(100_000) == BODY[:100_000]
        release.set()
        for client in (one, two):
            assert await client._reader.readexactly(300_000) == BODY[100_000:]
    assert len(edge.origin.asked) == 1


def _after_first(release: asyncio.Event):
    calls = 0

    async def wait() -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            await release.wait()

    return wait


async def test_the_leader_leaves_and_nobody_notices(edge):
    release = asyncio.Event()
    edge.origin.script = lambda asked: Reply(
        headers={"Cache-Control": "max-age=9"}, body=BODY, pace=(100_000, _after_first(release))
    )
    async with edge.client() as follower:
        async with edge.client() as leader:
            for client in (leader, follower):
                await client.send(b"GET /a HTTP/1.1\r\nHost: e\r\n\r\n")
                await client._read_head()
        release.set()
        assert await follower._reader.readexactly(len(BODY)) == BODY
    assert len(edge.origin.asked) == 1


async def test_private_answers_are_never_shared_and_waiters_go_in_parallel(edge, monkeypatch):
    everybody, arrived = all_in(edge, monkeypatch, requests=21), asyncio.Barrier(20)

    async def script(asked: Asked) -> Reply:
        if len(edge.origin.asked) == 1:
            await everybody.wait()
        else:
            await arrived.wait()  # passes only if all are at the origin at once
        return Reply(headers={"Cache-Control": "private"}, body=asked.headers["X-Who"].encode())

    edge.origin.script = script
    answers = await asyncio.gather(*(edge.get("/me", x_who=str(n)) for n in range(21)))
    assert [got.body for got in answers] == [str(n).encode() for n in range(21)]


async def test_vary_separates_those_who_waited_together(edge):
    edge.origin.script = lambda asked: Reply(
        headers={"Cache-Control": "max-age=9", "Vary": "X-Who"}, body=asked.headers["X-Who"].encode()
    )
    answers = await asyncio.gather(*(edge.get("/a", x_who=str(n % 3)) for n in range(30)))
    assert [got.body for got in answers] == [str(n % 3).encode() for n in range(30)]


async def test_a_failed_fetch_fails_all_who_wait_and_is_not_remembered(edge):
    edge.origin.script = lambda asked: Reply(raw=b"garbage")
    answers = await asyncio.gather(*(edge.get("/a") for _ in range(10)))
    assert {got.status for got in answers} == {502}
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=9"}, body=b"fine")
    assert (await edge.get("/a")).body == b"fine"


async def test_a_purge_while_fetching_keeps_the_old_bytes_out(edge):
    release = asyncio.Event()
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await release.wait()

    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=9"}, body=b"old", before_body=wait)
    first = asyncio.create_task(edge.get("/a"))
    await started.wait()
    await edge.delivery.purge(PurgeOrder(seq=1, url="/a"))
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=9"}, body=b"new")
    assert (await edge.get("/a")).body == b"new"
    release.set()
    await first
    assert (await edge.get("/a")).body == b"new"


async def test_slices_beside_a_stream_are_fetched_by_those_who_are_far_ahead(edge):
    edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"s"')
    whole, part = await asyncio.gather(edge.get("/v.bin"), edge.get("/v.bin", range="bytes=390000-399999"))
    assert whole.body == BODY
    assert part.body == BODY[390_000:]


async def test_those_who_want_the_same_variant_gather_again(edge, monkeypatch):
    everybody = all_in(edge, monkeypatch, requests=60)

    async def script(asked: Asked) -> Reply:
        await everybody.wait()
        return Reply(headers={"Cache-Control": "max-age=9", "Vary": "X-Who"}, body=asked.headers["X-Who"].encode())

    edge.origin.script = script
    answers = await asyncio.gather(*(edge.get("/a", x_who=str(n % 3)) for n in range(60)))
    assert [got.body for got in answers] == [str(n % 3).encode() for n in range(60)]
    assert len(edge.origin.asked) == 3  # alone each of the 40 that waited in vain would have asked


@pytest.mark.parametrize(
    "first",
    [{"method": "HEAD"}, {"authorization": "Bearer x"}],
    ids=["a head", "somebody's own request"],
)
async def test_how_one_client_asks_does_not_make_the_object_private_for_the_next(edge, first):
    edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"v1"', headers={"Cache-Control": "max-age=9"})
    await edge.get("/a.mp4", **first)
    await edge.get("/a.mp4", range="bytes=0-999")
    again = await edge.get("/a.mp4", range="bytes=0-999")
    assert "; hit" in again.headers["Cache-Status"]


async def test_an_object_that_was_not_there_is_kept_as_soon_as_it_is(edge):
    edge.origin.script = lambda asked: Reply(status=404, headers={"Cache-Control": "no-store"})
    assert (await edge.get("/a.mp4")).status == 404
    edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"v1"', headers={"Cache-Control": "max-age=9"})
    await edge.get("/a.mp4", range="bytes=0-999")
    again = await edge.get("/a.mp4", range="bytes=0-999")
    assert "; hit" in again.headers["Cache-Status"]
