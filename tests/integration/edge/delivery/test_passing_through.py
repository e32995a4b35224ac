"""Methods that are not reads, invalidation, interim responses, loops (RFC 9111 4.4, RFC 9110 15.2, RFC 8586)."""

from __future__ import annotations

import asyncio

import pytest

from edge.delivery.lab.raw_client import RawClient
from edge.delivery.lab.scripted_origin import Asked, Reply

FRESH = {"Cache-Control": "max-age=100", "ETag": '"1"'}


@pytest.mark.parametrize("method", ["POST", "DELETE", "M-SEARCH", "FROBNICATE"])
@pytest.mark.parametrize(("status", "gone"), [(200, True), (204, True), (302, True), (404, False), (500, False)])
async def test_a_success_of_an_unsafe_method_invalidates(edge, method, status, gone):
    def script(asked: Asked) -> Reply:
        if asked.method == "GET":
            return Reply(headers=FRESH, body=b"x")
        return Reply(status=status, reason="R", headers={"Location": "/b", "Content-Location": "/c"})

    edge.origin.script = script
    for path in ("/a", "/b", "/c"):
        await edge.get(path)
    assert (await edge.get("/a", method=method)).status == status
    for path in ("/a", "/b", "/c"):
        assert ("hit" not in (await edge.get(path)).headers["Cache-Status"]) is gone


async def test_methods_nobody_has_heard_of_reach_the_origin_as_they_are(edge):
    edge.origin.script = lambda asked: Reply(body=f"{asked.method} {asked.target} ".encode() + asked.body)
    framed = b"Content-Length: 3\r\n\r\nabc"
    async with edge.client() as client:
        await client.send(
            b"FROBNICATE /a HTTP/1.1\r\nHost: e\r\n" + framed + b"get /b HTTP/1.1\r\nHost: e\r\n\r\n"
            b"POST /c HTTP/1.1\r\nHost: e\r\n" + framed + b"X!y /d HTTP/1.1\r\nHost: e\r\n" + framed
        )
        bodies = [(await client.read()).body for _ in range(4)]
    assert bodies == [b"FROBNICATE /a abc", b"get /b ", b"POST /c abc", b"X!y /d abc"]


@pytest.mark.parametrize(
    "line", ["FR\x01B /a", "CONNECT e:443", "CONNECT  e:443", "PRI *", "A" * 40 + " /a", "FR(B /a"]
)
async def test_what_is_no_method_is_refused(edge, line):
    async with edge.client() as client:
        await client.send(f"{line} HTTP/1.1\r\nHost: e\r\n\r\n".encode())
        async with asyncio.timeout(20):
            refusal = (await client.read_until_closed()).split(b"\r\n", 1)[0]
    assert refusal.split(b" ")[1] == (b"405" if line == "CONNECT e:443" else b"400")
    assert edge.origin.asked == []


async def test_a_method_with_a_stand_in_is_still_no_read_where_only_reads_are_taken(open_edge):
    edge = await open_edge(read_only=True)
    assert (await edge.get("/a", method="FROBNICATE")).status == 405


async def test_an_unsafe_success_ends_what_siblings_hold_and_what_is_being_fetched(open_edge, tmp_path, origin):
    first, second = [await open_edge(cache_dir=tmp_path, workers=2, slot=slot) for slot in (0, 1)]
    origin.script = lambda asked: Reply(headers=FRESH, body=b"old")
    for edge in (first, second):
        await edge.get("/a")
        assert "hit" in (await edge.get("/a")).headers["Cache-Status"]
    origin.script = lambda asked: Reply(headers=FRESH, body=b"new")
    await first.get("/a", method="DELETE")
    for edge in (first, second):
        assert (await edge.get("/a")).body == b"new"


async def test_a_fetch_under_way_when_an_unsafe_method_succeeds_is_not_kept(edge):
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def script(seen: Asked) -> Reply:
        if seen.method == "DELETE":
            return Reply(status=204, reason="Gone")
        if asked.is_set():
            return Reply(headers=FRESH, body=b"new")
        asked.set()
        await go_on.wait()
        return Reply(headers=FRESH, body=b"old")

    edge.origin.script = script
    under_way = asyncio.create_task(edge.get("/a"))
    async with asyncio.timeout(20):
        await asked.wait()
        assert (await edge.get("/a", method="DELETE")).status == 204
        assert (await edge.get("/a")).body == b"new"  # does not wait for the old one
        go_on.set()
        assert (await under_way).body == b"old"  # asked for before the change
        got = await edge.get("/a")
    assert (got.body, "hit" in got.headers["Cache-Status"]) == (b"new", True)


async def test_an_origin_that_takes_no_body_times_out(open_edge):
    """It accepts the connection and reads nothing: the body fills the sockets' buffers and stands still."""
    held: list[asyncio.StreamWriter] = []

    async def never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        writer.transport.pause_reading()

    deaf = await asyncio.start_server(never_read, "127.0.0.1", 0)
    try:
        edge = await open_edge(origins=(f"http://127.0.0.1:{deaf.sockets[0].getsockname()[1]}",), idle_timeout_s=0.3)
        async with edge.client() as client, asyncio.timeout(30):
            await client.send(b"PUT /up HTTP/1.1\r\nHost: e\r\nContent-Length: 67108864\r\n\r\n")
            sending = asyncio.create_task(_send_until_answered(client))
            got = await client.read()
            sending.cancel()
        assert got.status == 504
    finally:
        for writer in held:
            writer.transport.abort()
        deaf.close()


async def _send_until_answered(client: RawClient) -> None:
    for _ in range(1024):
        await client.send(bytes(65_536))


async def test_safe_methods_invalidate_nothing(edge):
    edge.origin.script = lambda asked: Reply(headers=FRESH, body=b"x")
    await edge.get("/a")
    await edge.get("/a", method="OPTIONS")
    assert "hit" in (await edge.get("/a")).headers["Cache-Status"]


async def test_a_request_body_streams_to_the_origin_both_framings(edge):
    edge.origin.script = lambda asked: Reply(status=201, reason="Made", body=asked.body)
    body = bytes(range(256)) * 2000
    got = await edge.get("/up", method="PUT", body=body)
    assert (got.status, got.body) == (201, body)
    async with edge.client() as client:
        await client.send(b"POST /up HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"abc", b"defgh"):
            await client.send(b"%x\r\n%b\r\n" % (len(part), part))
        await client.send(b"0\r\n\r\n")
        assert (await client.read()).body == b"abcdefgh"
    assert "fwd=method" in got.headers["Cache-Status"]


async def test_expect_continue_is_answered(edge):
    edge.origin.script = lambda asked: Reply(body=asked.body)
    async with edge.client() as client:
        await client.send(b"POST /up HTTP/1.1\r\nHost: e\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        async with asyncio.timeout(60):
            assert await client._reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"abc")
        assert (await client.read()).body == b"abc"
    assert "Expect" not in edge.origin.asked[0].headers


async def test_interim_responses_are_relayed_and_not_stored(edge):
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\n"
    edge.origin.script = lambda asked: Reply(
        headers=FRESH, body=b"x", interim=b"HTTP/1.1 102 Processing\r\n\r\n" + hints
    )
    got = await edge.get("/a")
    assert [status for status, _ in got.interim] == [102, 103]
    assert got.interim[1][1]["Link"] == "</s.css>; rel=preload"
    assert "Link" not in got.headers
    assert (await edge.get("/a")).interim == []


async def test_a_request_that_was_here_before_is_refused(edge):
    edge.origin.script = lambda asked: Reply(headers=FRESH, body=b"x")
    assert (await edge.get("/a", cdn_loop="other, popreel-edge; x=1")).status == 508
    assert (await edge.get("/a", cdn_loop="other")).status == 200
    assert edge.origin.asked[-1].headers["CDN-Loop"] == "other, popreel-edge"


async def test_a_name_that_is_no_token_is_quoted_and_still_seen_in_loops(open_edge):
    edge = await open_edge(name="1-pop")
    edge.origin.script = lambda asked: Reply(headers=FRESH, body=b"x")
    for _ in range(2):
        assert (await edge.get("/a")).headers["Cache-Status"].startswith('"1-pop"; ')
    assert (await edge.get("/a", cdn_loop="1-pop")).status == 508


async def test_an_upstream_cache_status_is_kept_in_front_of_ours(edge):
    edge.origin.script = lambda asked: Reply(headers={**FRESH, "Cache-Status": "shield; hit; ttl=9"}, body=b"x")
    for expected in ("shield; hit; ttl=9, popreel-edge; fwd=uri-miss", "shield; hit; ttl=9, popreel-edge; hit"):
        assert (await edge.get("/a")).headers["Cache-Status"].startswith(expected)


async def test_read_only_refuses_other_methods(open_edge):
    edge = await open_edge(read_only=True)
    assert (await edge.get("/a", method="DELETE")).status == 405
    assert edge.origin.asked == []


async def test_preflights_and_open_access_for_players(open_edge):
    edge = await open_edge(cors_origin="*")
    edge.origin.script = lambda asked: Reply(headers=FRESH, body=b"x")
    got = await edge.get("/a", method="OPTIONS", origin="https://app.test", access_control_request_method="GET")
    assert (got.status, got.headers["Access-Control-Allow-Origin"]) == (204, "*")
    assert "Range" in got.headers["Access-Control-Allow-Headers"]
    for _ in range(2):
        got = await edge.get("/a", origin="https://app.test")
        assert got.headers["Access-Control-Allow-Origin"] == got.headers["Timing-Allow-Origin"] == "*"
        assert "Cache-Status" in got.headers["Access-Control-Expose-Headers"]
