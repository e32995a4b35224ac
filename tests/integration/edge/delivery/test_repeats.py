"""Requests whose bytes came before in the same second: answered by bytes, never by bytes that have had their time."""

from __future__ import annotations

import asyncio
import random

import pytest

from edge.delivery.lab.scripted_origin import Reply, file_reply
from edge.delivery.lane.fast_lane import MAX_VARIANTS
from edge.delivery.lane.repeats import MAX_REPEATS
from foundation.settings import Secret
from foundation.tokens.media import sign
from foundation.wire.pops import PurgeOrder

BODY = bytes(range(256)) * 400
NOW = 1_790_000_000


@pytest.fixture
async def open_edge(open_edge):
    """Without the sweep of every real second: the seconds of these tests are those of their clock."""

    async def open_still(**knobs):
        edge = await open_edge(**knobs)
        edge.server._sweeper.cancel()
        return edge

    return open_still


def fresh(body: bytes = b"x", max_age_s: int = 100, **fields: str) -> Reply:
    return Reply(headers={"Cache-Control": f"max-age={max_age_s}", "ETag": '"1"', **fields}, body=body)


def request(target: str, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: e", *lines, "", ""]).encode()


def uses(edge) -> int:
    """Of what is remembered by a request's bytes; not settled yet."""
    return sum(reply.uses for reply in {repeat.reply for repeat in edge.delivery.lane.repeats.known.values()})


async def ask(edge, raw: bytes, *, times: int = 1):
    """The last of `times` answers to the same bytes on one connection."""
    async with edge.client() as client:
        for _ in range(times):
            await client.send(raw)
            got = await client.read(head_only=raw.startswith(b"HEAD"))
    return got


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (request("/v.bin"), 200, BODY),
        (request("/v.bin", "Range: bytes=10-19"), 206, BODY[10:20]),
        (request("/v.bin", "Range: bytes=10-99999"), 206, BODY[10:100_000]),
        (request("/v.bin", 'If-None-Match: "1"'), 304, b""),
        (request("/v.bin", method="HEAD"), 200, b""),
    ],
)
async def test_a_repeat_is_the_same_answer_and_counts_the_same(edge, raw, status, body):
    edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"1"', headers={"Cache-Control": "max-age=100"})
    await ask(edge, request("/v.bin", "X: other"), times=2)
    before = edge.delivery.tally.fast.hits, edge.delivery.tally.fast.bytes
    first = await ask(edge, raw)
    again = await ask(edge, raw, times=3)
    assert uses(edge) == 4
    assert (again.status, again.body, list(again.headers.items())) == (status, body, list(first.headers.items()))
    fast = edge.delivery.tally.fast
    assert (fast.hits - before[0], fast.bytes - before[1]) == (4, 4 * len(body))
    assert fast.ranges == (4 if status == 206 else 0)
    assert fast.not_modified == (4 if status == 304 else 0)


@pytest.mark.parametrize("soft", [False, True])
async def test_a_purge_ends_repeats_at_once(edge, soft):
    edge.origin.script = lambda asked: fresh(b"old")
    await ask(edge, request("/v"), times=4)
    assert uses(edge) > 0
    edge.origin.script = lambda asked: fresh(b"new", ETag='"2"')
    await edge.delivery.purge(PurgeOrder(seq=1, url="/v", soft=soft))
    assert (await ask(edge, request("/v"))).body == b"new"


async def test_a_purge_ends_every_variant_however_many_there_were(edge):
    """Variants beyond what the fast lane keeps of a target must not go on as repeats."""
    edge.origin.script = lambda asked: fresh(b"old", Vary="X-Kind")
    kinds = [request("/v", f"X-Kind: {number}") for number in range(MAX_VARIANTS + 4)]
    for raw in kinds:
        await ask(edge, raw, times=3)
    edge.origin.script = lambda asked: fresh(b"new", ETag='"2"', Vary="X-Kind")
    await edge.delivery.purge(PurgeOrder(seq=1, url="/v"))
    assert [(await ask(edge, raw)).body for raw in kinds] == [b"new"] * len(kinds)


async def test_an_unsafe_method_ends_repeats_at_once(edge):
    edge.origin.script = lambda asked: fresh(b"old")
    await ask(edge, request("/v"), times=4)
    edge.origin.script = lambda asked: fresh(b"new")
    await ask(edge, request("/v", "Content-Length: 0", method="POST"))
    assert (await ask(edge, request("/v"))).body == b"new"


async def test_age_moves_on_with_the_second_and_freshness_ends_inside_one(edge):
    edge.clock.advance(0.5)
    edge.origin.script = lambda asked: fresh(max_age_s=2)
    for age in (0, 1):
        got = await ask(edge, request("/v"), times=4)
        assert got.headers["Age"] == str(age)
        edge.clock.advance(1)
    assert len(edge.origin.asked) == 1
    await ask(edge, request("/v"), times=4)
    assert len(edge.origin.asked) == 2


async def test_a_token_ends_inside_a_second(open_edge):
    edge = await open_edge(media_keys={"k": Secret("key")}, require_token=True)
    edge.origin.script = lambda asked: fresh()
    token = sign("/videos/", expires_s=NOW + 1, kid="k", keys={"k": b"key"})
    raw = request(f"/t/{token}/videos/v")
    edge.clock.advance(0.3)
    assert (await ask(edge, raw, times=4)).status == 200
    assert uses(edge) > 0
    edge.clock.advance(60.8)
    assert (await ask(edge, raw, times=2)).status == 403


async def test_players_that_speak_cmcd_are_heard_each_time(edge):
    edge.origin.script = lambda asked: fresh()
    got = await ask(edge, request("/v", "CMCD-Session: sid=%22a%22"), times=5)
    assert "CMSD-Dynamic" in got.headers
    await edge.until(lambda: edge.delivery.tally.cmcd_requests == 5)
    assert uses(edge) == 0


async def test_many_viewers_of_one_object_share_an_answer_but_not_its_end(open_edge):
    """Their tokens and fields differ, what they get does not; a token that has ended gets nothing."""
    keys = {"k": b"key"}
    edge = await open_edge(media_keys={"k": Secret("key")}, require_token=True)
    edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"1"', headers={"Cache-Control": "max-age=900"})
    tokens = [sign("/videos/", expires_s=NOW + 50 + 20 * number, kid="k", keys=keys) for number in range(20)]
    for token in tokens:
        got = await ask(edge, request(f"/t/{token}/videos/v.mp4", f"X-Viewer: {token}"), times=2)
        assert (got.status, got.body) == (200, BODY)
    edge.clock.advance(200)
    before = edge.delivery.tally.fast.hits
    seen = [(await ask(edge, request(f"/t/{token}/videos/v.mp4"))).status for token in tokens]
    assert seen == [403] * 5 + [200] * 15  # a minute past its end a token is let pass, for clocks that differ
    elsewhere = await ask(edge, request(f"/t/{tokens[-1]}/other/v.mp4"))
    assert elsewhere.status == 403
    assert edge.delivery.tally.fast.hits - before == 12


async def test_no_memory_answers_what_a_full_reading_would_not(open_edge):
    """Requests one byte away from known ones get the same with all that is remembered and without any of it."""
    edge = await open_edge(media_keys={"k": Secret("key")}, require_token=True)
    edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"1"', headers={"Cache-Control": "max-age=900"})
    token = sign("/videos/", expires_s=NOW + 900, kid="k", keys={"k": b"key"})
    good = request(f"/t/{token}/videos/v.mp4", "Range: bytes=1-2", "X: y")
    assert (await ask(edge, good, times=4)).status == 206
    assert uses(edge) > 0
    dice = random.Random(5)
    for _ in range(150):
        at = dice.randrange(len(good) - 4)
        odd = bytes([dice.choice(b" \t/.%?#:,-=aZ05;\r\n\x00\x7f\xe9")])
        raw = good[:at] + odd + good[at + dice.randint(0, 1) :]
        await ask(edge, good, times=2)
        knowing = await _outcome(edge, raw)
        for memory in (edge.delivery.lane._leads, edge.delivery.lane.heads.known, edge.delivery.lane.heads._lines):
            memory.clear()
        edge.delivery.lane.repeats.clear()
        assert knowing == await _outcome(edge, raw), raw


async def _outcome(edge, raw: bytes):
    """Status line and body of the answer to one request, after which the client sends no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.server.port)
    writer.write(raw)
    writer.write_eof()
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0], body


async def test_what_is_remembered_is_bounded_and_forgotten_with_the_second(edge):
    edge.origin.script = lambda asked: fresh(b"y" * 5000)
    await ask(edge, request("/v"), times=2)
    async with edge.client() as client:
        for number in range(MAX_REPEATS + 500):
            await client.send(request("/v", f"X-Id: {number}"))
            assert (await client.read()).body == b"y" * 5000
    assert len(edge.delivery.lane.repeats.known) == MAX_REPEATS
    edge.server.sweep(edge.server.loop.time())
    assert not edge.delivery.lane.repeats.known


async def test_eviction_learns_of_repeats(edge):
    edge.origin.script = lambda asked: fresh()
    await ask(edge, request("/v"), times=10)
    (stored,) = edge.delivery.store.index.get("/v")
    cells = edge.delivery.shelves.ram.cells(stored.body_id)
    before = cells[0].entry.hits
    edge.server.sweep(edge.server.loop.time())
    assert cells[0].entry.hits - before == 9
