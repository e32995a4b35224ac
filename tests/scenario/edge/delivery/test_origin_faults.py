"""An origin that lies, breaks off, changes its mind or goes away: viewers get right bytes or a clear error."""

from __future__ import annotations

import asyncio
import random

import pytest

from edge.delivery.lab.scripted_origin import Asked, Reply, file_reply, scripted_origin

BODY = random.Random(5).randbytes(300_000)
OTHER = random.Random(6).randbytes(300_000)
FRESH = {"Cache-Control": "max-age=100"}


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("etag", [None, '"strong"'])
async def test_a_truncated_body_is_seen_as_truncated_and_never_reused(disk_edge, framing, etag):
    headers = {**FRESH, **({"ETag": etag} if etag else {})}
    disk_edge.origin.script = lambda asked: Reply(headers=headers, body=BODY, framing=framing, cut_after=100_000)
    got = await disk_edge.get("/a.bin")
    assert not got.complete
    assert BODY.startswith(got.body)
    disk_edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"strong"')
    again = await disk_edge.get("/a.bin")
    assert again.complete
    assert again.body == BODY


async def test_a_slice_that_breaks_off_is_fetched_again_behind_the_viewers_back(edge):
    failures = iter([True])

    def script(asked: Asked) -> Reply:
        reply = file_reply(asked, BODY, etag='"v"')
        if asked.headers["Range"] == "bytes=16384-81919" and next(failures, False):
            reply.cut_after = 1000
        return reply

    edge.origin.script = script
    got = await edge.get("/v.mp4")
    assert got.complete
    assert got.body == BODY


async def test_an_object_that_changes_between_slices_is_never_mixed(edge):
    edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"v1"')
    assert (await edge.get("/v.mp4", range="bytes=0-99")).body == BODY[:100]
    await edge.delivery.settled()
    edge.origin.script = lambda asked: file_reply(asked, OTHER, etag='"v2"')
    got = await edge.get("/v.mp4")
    assert not got.complete or got.body in (BODY, OTHER)
    assert BODY.startswith(got.body) or got.body == OTHER
    again = await edge.get("/v.mp4")
    assert again.complete
    assert again.body == OTHER


@pytest.mark.parametrize(
    "lie",
    [
        {"Content-Range": "bytes 16385-81920/300000"},
        {"Content-Range": "bytes 16384-81919/300001"},
        {"Content-Range": "bytes 16384-81918/300000"},
        {"Content-Range": "nonsense"},
        {"ETag": '"v9"'},
        {"ETag": 'W/"v"'},
    ],
)
async def test_a_206_that_is_not_what_was_asked_for_is_not_used(edge, lie):
    def script(asked: Asked) -> Reply:
        reply = file_reply(asked, BODY, etag='"v"')
        if asked.headers.get("Range", "").startswith("bytes=16384"):
            reply.headers = {**reply.headers, **lie}
        return reply

    edge.origin.script = script
    got = await edge.get("/v.mp4")
    assert not got.complete
    assert got.body == BODY[:16_384]


async def test_wrong_lengths_of_a_slice_are_noticed(edge):
    def script(asked: Asked) -> Reply:
        reply = file_reply(asked, BODY, etag='"v"')
        if asked.headers.get("Range", "").startswith("bytes=16384"):
            reply.body = reply.body[:-7]
        return reply

    edge.origin.script = script
    got = await edge.get("/v.mp4")
    assert not got.complete
    assert BODY.startswith(got.body)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 5000 + b"\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_answers_that_are_not_http_are_a_502(edge, raw):
    edge.origin.script = lambda asked: Reply(raw=raw)
    got = await edge.get("/a")
    assert got.status == 502
    assert "application/problem+json" in got.headers["Content-Type"]


async def test_bytes_after_an_answer_poison_the_connection_not_the_cache(edge):
    evil = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=99\r\nContent-Length: 4\r\n\r\nevil"
    good = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=99\r\nContent-Length: 4\r\n\r\ngood"
    edge.origin.script = lambda asked: Reply(raw=good + evil)
    got = await edge.get("/a")
    assert (got.status, got.body) in ((200, b"good"), (502, got.body))
    edge.origin.script = lambda asked: Reply(headers=FRESH, body=b"next")
    assert (await edge.get("/b")).body == b"next"


async def test_a_slow_origin_is_given_up(open_edge):
    never = asyncio.Event()
    edge = await open_edge(idle_timeout_s=0.05)
    edge.origin.script = lambda asked: Reply(headers=FRESH, body=BODY, before_body=never.wait)
    got = await edge.get("/slow-body")
    assert not got.complete

    async def hang(asked: Asked) -> Reply:
        await never.wait()
        return Reply()

    edge = await open_edge(first_byte_timeout_s=0.05)
    edge.origin.script = hang
    assert (await edge.get("/slow-head")).status == 504


async def test_connections_the_origin_closed_meanwhile_are_replaced(edge):
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "no-store"}, body=b"x")
    for _ in range(3):
        assert (await edge.get("/a")).body == b"x"
        for writer in tuple(edge.origin._writers):
            writer.close()


async def test_the_second_region_takes_over(open_edge, origin):
    async with scripted_origin() as second:
        second.script = lambda asked: file_reply(asked, BODY, etag='"v"')
        edge = await open_edge(origins=(origin.url, second.url))
        origin.script = lambda asked: Reply(status=503, reason="Busy")
        assert (await edge.get("/one.mp4")).body == BODY
        await origin.stop()
        assert (await edge.get("/two.mp4")).body == BODY
        assert edge.delivery.stats().failovers >= 2
        edge.clock.advance(10)


async def test_the_clock_may_step_back_across_a_restart(open_edge, origin, clock, tmp_path):
    origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')
    first = await open_edge(cache_dir=tmp_path)
    await first.get("/v.mp4")
    await first.delivery.flush()
    clock.advance(-86_400)
    second = await open_edge(cache_dir=tmp_path)
    got = await second.get("/v.mp4")
    assert got.body == BODY
    assert "fwd=stale; fwd-status=304" in got.headers["Cache-Status"]
