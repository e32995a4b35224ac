"""The client's side of the wire: smuggling, malformed and hostile bytes, pipelining, limits, slow clients."""

from __future__ import annotations

import asyncio
import random

import pytest

from edge.delivery.lab.scripted_origin import Asked, Reply

FRESH = {"Cache-Control": "max-age=100", "ETag": '"1"'}


def script(asked: Asked) -> Reply:
    return Reply(headers=FRESH, body=f"{asked.method} {asked.target} {len(asked.body)}".encode())


HIT = b"GET /hit HTTP/1.1\r\nHost: e\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: e\r\n\r\n"

AMBIGUOUS = [
    b"POST /a HTTP/1.1\r\nHost: e\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: e\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST /a HTTP/1.1\r\nHost: e\r\nContent-Length: +4\r\n\r\nabcd",
    b"POST /a HTTP/1.1\r\nHost: e\r\nContent-Length: 4, 4\r\n\r\nabcd",
    b"POST /a HTTP/1.1\r\nHost: e\r\nContent-Length: 0x4\r\n\r\nabcd",
    b"GET /a HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: xchunked\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: e\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: e\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: e\r\nX: a\r\n b\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: e\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: e\r\nX: a\rb\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: e\r\nX: a\x00b\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: e\r\nno colon\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: e\r\n: empty\r\n\r\n",
    b"GET  /a HTTP/1.1\r\nHost: e\r\n\r\n",
    b"GET /a HTTP/1.1 \r\nHost: e\r\n\r\n",
    b"GET /a HTTP/2.0\r\nHost: e\r\n\r\n",
    b"GET /a\r\nHost: e\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
]


@pytest.mark.parametrize("attack", AMBIGUOUS)
async def test_ambiguous_framing_never_reaches_the_origin_as_two_requests(edge, attack):
    """Whatever is decided about the first request, nothing behind it is taken for a request of its own wrongly."""
    edge.origin.script = script
    await edge.get("/hit")
    async with edge.client() as client:
        await client.send(attack + SMUGGLED)
        async with asyncio.timeout(60):
            answer = await client.read_until_closed()
    assert b" 400 " in answer.split(b"\r\n", 1)[0]
    assert not any(asked.target == "/smuggled" for asked in edge.origin.asked)


async def test_pipelined_requests_are_answered_in_order_whichever_lane(edge):
    edge.origin.script = script
    await edge.get("/hit")
    posted = b"POST /p HTTP/1.1\r\nHost: e\r\nContent-Length: 5\r\n\r\nabcde"
    async with edge.client() as client:
        await client.send(HIT + b"GET /m1 HTTP/1.1\r\nHost: e\r\n\r\n" + HIT + posted + HIT + HIT)
        bodies = [(await client.read()).body for _ in range(6)]
    hit = b"GET /hit 0"
    assert bodies == [hit, b"GET /m1 0", hit, b"POST /p 5", hit, hit]
    assert edge.delivery.tally.fast.hits == 4


@pytest.mark.parametrize("step", [1, 2, 3, 7, 50])
async def test_requests_cut_anywhere_are_put_together(edge, step):
    edge.origin.script = script
    await edge.get("/hit")
    posted = b"POST /p HTTP/1.1\r\nHost: e\r\nContent-Length: 5\r\n\r\nabcde"
    data = HIT + posted + b"GET /m HTTP/1.1\r\nHost: e\r\nX: y\r\n\r\n" + HIT
    async with edge.client() as client:
        reader = asyncio.create_task(_read_bodies(client, 4))
        for at in range(0, len(data), step):
            await client.send(data[at : at + step])
            await asyncio.sleep(0)
        assert await reader == [b"GET /hit 0", b"POST /p 5", b"GET /m 0", b"GET /hit 0"]


async def _read_bodies(client, count: int) -> list[bytes]:
    return [(await client.read()).body for _ in range(count)]


async def test_a_client_that_pipelines_without_reading_costs_bounded_memory(edge):
    edge.origin.script = lambda asked: Reply(headers=FRESH, body=bytes(15_000))
    await edge.get("/hit")
    async with edge.client() as client:
        for _ in range(400):
            client._writer.write(HIT * 10)
            await asyncio.sleep(0)
        protocol = next(iter(edge.server._connections))
        assert protocol.unsent_bytes < 1_000_000
        assert len(protocol._buffer) < 500_000


async def test_oversized_heads_are_refused(edge):
    async with edge.client() as client:
        await client.send(b"GET /a HTTP/1.1\r\nHost: e\r\nX: " + b"a" * 40_000)
        assert b" 431 " in await client.read_until_closed()
    got = await edge.get("/" + "a" * 9000)
    assert got.status in (400, 414)


async def test_a_head_sent_too_slowly_times_out(open_edge):
    edge = await open_edge(header_timeout_s=2.0)
    async with edge.client() as client:
        await client.send(b"GET /a HTTP/1.1\r\nHost: e\r\nX")
        await edge.until(lambda: any(p.head_since_s is not None for p in edge.server._connections))
        edge.server.sweep(edge.server.loop.time() + 3)
        assert b" 408 " in await client.read_until_closed()


@pytest.mark.parametrize("framing", [b"Content-Length: 100000", b"Transfer-Encoding: chunked"])
async def test_a_body_sent_drop_by_drop_frees_its_way_to_the_origin(open_edge, framing):
    edge = await open_edge(stalled_client_s=0.3, origin_connections=1)
    edge.origin.script = script
    async with edge.client() as client:
        await client.send(b"POST /slow HTTP/1.1\r\nHost: e\r\n" + framing + b"\r\n\r\n5\r\nabcde\r\n")
        async with asyncio.timeout(20):
            got = await client.read()
            assert (await edge.get("/next")).status == 200  # the only connection is free again
    assert got.status == 408
    assert [asked.target for asked in edge.origin.asked] == ["/next"]


async def test_a_client_that_takes_nothing_is_cut_off(open_edge):
    edge = await open_edge(stalled_client_s=5.0)
    edge.origin.script = lambda asked: Reply(headers=FRESH, body=bytes(8_000_000))
    async with edge.client() as client:
        await client.send(HIT)
        await edge.until(lambda: any(p.unsent_bytes for p in edge.server._connections))
        now_s = edge.server.loop.time()
        for second in range(8):
            edge.server.sweep(now_s + second)
        await edge.until(lambda: len(edge.server) == 0)


async def test_idle_connections_are_closed_and_too_many_refused(open_edge):
    edge = await open_edge(keepalive_timeout_s=5.0, max_connections=2)
    edge.origin.script = script
    async with edge.client() as one, edge.client() as two, edge.client() as three:
        assert await three.read_until_closed() == b""
        assert (await one.get("/a")).status == (await two.get("/a")).status == 200
        edge.server.sweep(edge.server.loop.time() + 60)
        assert await one.read_until_closed() == b""


@pytest.mark.parametrize(
    "path",
    ["/videos/../x", "/a/./b", "/%2e%2e/x", "/a/%2E./b", "/a%2f..%2fb", "/a/..%5cb", "//evil/x", "/a%00b"],
)
async def test_paths_that_climb_are_refused(edge, path):
    edge.origin.script = script
    assert (await edge.get(path)).status == 400
    assert edge.origin.asked == []


async def test_absolute_form_is_the_same_key(edge):
    edge.origin.script = script
    await edge.get("/a?x=1")
    assert "hit" in (await edge.get("http://edge.test/a?x=1")).headers["Cache-Status"]


async def test_http_1_0_is_served_and_closed(edge):
    edge.origin.script = script
    async with edge.client() as client:
        await client.send(b"GET /a HTTP/1.0\r\n\r\n")
        answer = await client.read_until_closed()
    assert answer.startswith(b"HTTP/1.0 200")
    assert answer.endswith(b"GET /a 0")


async def test_connection_close_is_honoured(edge):
    edge.origin.script = script
    await edge.get("/hit")
    async with edge.client() as client:
        await client.send(b"GET /hit HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n")
        assert (await client.read_until_closed()).endswith(b"GET /hit 0")


async def test_fuzzed_requests_never_crash_or_desynchronise(edge):
    """Mutations of good requests, followed by a good one on a fresh connection: always answered right."""
    edge.origin.script = script
    await edge.get("/hit")
    rng = random.Random(20)
    seeds = [HIT, b"POST /p HTTP/1.1\r\nHost: e\r\nContent-Length: 5\r\n\r\nabcde", *AMBIGUOUS]
    for _ in range(250):
        data = _mutate(rng, rng.choice(seeds))
        async with edge.client() as client:
            await client.send(data)
            client._writer.write_eof()
            async with asyncio.timeout(60):
                answer = await client.read_until_closed()
        if answer:
            assert answer.startswith(b"HTTP/1.")
    assert (await edge.get("/hit")).body == b"GET /hit 0"


def _mutate(rng: random.Random, data: bytes) -> bytes:
    mutable = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(mutable))
        match rng.randrange(4):
            case 0:
                mutable[at] = rng.randrange(256)
            case 1:
                mutable[at:at] = rng.choice([b"\r", b"\n", b"\r\n", b"\0", b" ", b":", b"\xff" * 9])
            case 2:
                del mutable[at : at + rng.randrange(1, 9)]
            case _:
                mutable += mutable[at:]
        if not mutable:
            return b"\r\n"
    return bytes(mutable)
