"""What is stored and passed on: header fields, cookies, credentials, bodies (RFC 9111 sections 3 and 3.1)."""

from __future__ import annotations

import asyncio

import pytest

from edge.delivery.lab.scripted_origin import Reply

FRESH = {"Cache-Control": "max-age=100"}


async def test_end_to_end_fields_pass_and_hop_by_hop_ones_do_not(edge):
    headers = {
        **FRESH,
        "X-One": "1",
        "X-Two": ["a", "b"],
        "Set-Cookie": ["a=1", "b=2"],
        "Connection": "X-Secret, keep-alive",
        "X-Secret": "s",
        "Keep-Alive": "timeout=5",
        "Proxy-Authenticate": "Basic",
        "Content-Type": "text/odd; charset=x",
        "Server": "origin/1",
    }
    edge.origin.script = lambda asked: Reply(headers=headers, body=b"x")
    for _ in range(2):
        got = await edge.get("/a")
        assert got.headers["X-One"] == "1"
        assert ", ".join(got.headers.getall("X-Two")) == "a, b"
        assert got.headers.getall("Set-Cookie") == ["a=1", "b=2"]
        assert got.headers["Content-Type"] == "text/odd; charset=x"
        assert got.headers["Server"] == "origin/1"
        for name in ("X-Secret", "Keep-Alive", "Proxy-Authenticate"):
            assert name not in got.headers
    assert len(edge.origin.asked) == 1


async def test_nothing_is_invented(edge):
    edge.origin.script = lambda asked: Reply(headers=FRESH, body=b"x")
    for _ in range(2):
        got = await edge.get("/a")
        assert "Content-Type" not in got.headers
        assert "Server" not in got.headers


async def test_request_fields_reach_the_origin_without_conditions_and_hops(edge):
    edge.origin.script = lambda asked: Reply(headers=FRESH, body=b"x")
    await edge.get(
        "/a?q=1&CMCD=su&r=2",
        x_odd="v",
        connection="x-mine",
        x_mine="1",
        if_none_match='"z"',
        range="bytes=0-0",
        te="trailers",
        cmcd_request="bl=0",
    )
    asked = edge.origin.asked[0]
    assert asked.target == "/a?q=1&r=2"
    assert asked.headers["X-Odd"] == "v"
    assert asked.headers["CDN-Loop"] == "popreel-edge"
    assert not {"X-Mine", "If-None-Match", "Range", "TE", "CMCD-Request"} & set(asked.headers)


async def test_cmcd_is_no_part_of_the_key(edge):
    edge.origin.script = lambda asked: Reply(headers=FRESH, body=b"x")
    for query in ("", "?CMCD=bl%3D0", "?CMCD=sid%3D%22x%22"):
        await edge.get(f"/a.m3u8{query}")
    assert len(edge.origin.asked) == 1
    assert edge.delivery.tally.fast.hits == 2


@pytest.mark.parametrize(
    ("cache_control", "shared"),
    [("max-age=9", False), ("max-age=9, public", True), ("s-maxage=9", True), ("max-age=9, must-revalidate", True)],
)
async def test_answers_to_credentials_are_shared_only_when_said_so(edge, cache_control, shared):
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": cache_control}, body=b"x")
    await edge.get("/a", authorization="Bearer one")
    await edge.get("/a", authorization="Bearer two")
    await edge.get("/a")
    assert (len(edge.origin.asked) == 1) is shared


async def test_an_answer_without_credentials_is_not_used_for_a_request_with_them(edge):
    edge.origin.script = lambda asked: Reply(headers=FRESH, body=b"x")
    await edge.get("/a")
    await edge.get("/a", authorization="Bearer one")
    assert len(edge.origin.asked) == 2


async def test_set_cookie_can_be_kept_out_of_the_store(open_edge):
    edge = await open_edge(store_set_cookie=False)
    edge.origin.script = lambda asked: Reply(headers={**FRESH, "Set-Cookie": "a=1"}, body=b"x")
    await edge.get("/a")
    assert (await edge.get("/a")).headers["Set-Cookie"] == "a=1"
    assert len(edge.origin.asked) == 2


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 200_000])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("etag", [None, '"strong"', 'W/"weak"'])
async def test_bodies_of_any_size_and_framing_come_back_whole(disk_edge, size, framing, etag):
    body = bytes(range(256)) * (size // 256 + 1)
    headers = {**FRESH, **({"ETag": etag} if etag else {})}
    disk_edge.origin.script = lambda asked: Reply(headers=headers, body=body[:size], framing=framing)
    for _ in range(3):
        assert (await disk_edge.get("/a")).body == body[:size]
    assert (await disk_edge.get("/a", range="bytes=0-9")).body == (body[:size][:10])
    assert len(disk_edge.origin.asked) == 1


async def test_a_body_that_ends_with_the_connection_is_passed_on_but_not_stored(edge):
    edge.origin.script = lambda asked: Reply(headers=FRESH, body=b"who knows", framing="close")
    for _ in range(2):
        assert (await edge.get("/a")).body == b"who knows"
    assert len(edge.origin.asked) == 2


async def test_a_large_body_without_a_strong_etag_streams_through(open_edge):
    edge = await open_edge(max_whole_bytes=100_000)
    body = bytes(300_000)
    for framing in ("length", "chunked"):
        edge.origin.script = lambda asked, framing=framing: Reply(headers=FRESH, body=body, framing=framing)
        for _ in range(2):
            assert (await edge.get(f"/{framing}")).body == body
    assert len(edge.origin.asked) == 4
    assert edge.delivery.stats().ram_bytes == 0


async def test_a_newer_no_store_ends_the_use_of_an_older_fresh_copy(edge):
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=5", "ETag": '"1"'}, body=b"old")
    await edge.get("/a")
    edge.clock.advance(6)
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "no-store"}, body=b"new")
    for _ in range(2):
        assert (await edge.get("/a")).body == b"new"
    assert len(edge.origin.asked) == 3


async def test_vary_star_is_never_reused(edge):
    for value in ("*", "*, Foo", ", *", ["Foo", "*"]):
        edge.origin.script = lambda asked, value=value: Reply(headers={**FRESH, "Vary": value}, body=b"x")
        seen = len(edge.origin.asked)
        await edge.get("/a")
        await edge.get("/a")
        assert len(edge.origin.asked) == seen + 2


async def test_variants_live_side_by_side(edge):
    def script(asked):
        return Reply(
            headers={**FRESH, "Vary": "Accept-Language, X-Kind"}, body=asked.headers.get("X-Kind", "-").encode()
        )

    edge.origin.script = script
    for _ in range(2):
        for kind in ("a", "b", "c"):
            assert (await edge.get("/v", x_kind=kind)).body == kind.encode()
    assert len(edge.origin.asked) == 3
    assert (await edge.get("/v", x_kind=" a ", accept_language="de")).body == b"a"
    assert len(edge.origin.asked) == 4
    assert "vary-miss" in (await edge.get("/v", x_kind="d")).headers["Cache-Status"]


async def test_vary_values_are_compared_in_normal_form(edge):
    edge.origin.script = lambda asked: Reply(headers={**FRESH, "Vary": "accept-encoding"}, body=b"x")
    for value in ("gzip, br", "gzip,br", "gzip ,  BR", "br;q=0.9, gzip;q=0.5", "deflate, br, x-gzip"):
        await edge.get("/a", accept_encoding=value)
    assert len(edge.origin.asked) == 1
    assert edge.origin.asked[0].headers["Accept-Encoding"] == "gzip, br"


async def test_a_thousand_spellings_of_accept_encoding_are_a_handful_of_variants(edge):
    def script(asked):
        wish = asked.headers["Accept-Encoding"]
        return Reply(headers={**FRESH, "Vary": "Accept-Encoding", "X-Wish": wish}, body=wish.encode())

    edge.origin.script = script
    rest = ("deflate", "compress", "x-mine")
    for number in range(300):
        gzip, br = ("gzip", "x-gzip", "GZIP;q=0.9")[number % 3], ("br", "br;q=0")[number % 2]
        got = await edge.get("/a.m3u8", accept_encoding=f"{rest[number % 3]};q=0.{number}, {br}, {gzip}")
        assert got.body == (b"gzip" if "q=0" in br else b"gzip, br")
    async with edge.client() as client:
        await client.send(
            b"GET /a.m3u8 HTTP/1.1\r\nHost: e\r\nAccept-Encoding: gzip;q=0.5\r\nAccept-Encoding: identity\r\n\r\n"
        )
        assert (await client.read()).body == b"identity"
    assert len(edge.origin.asked) == 3
    assert edge.delivery.tally.fast.hits > 290


async def test_the_service_key_goes_to_the_origin_and_the_viewers_does_not(open_edge):
    edge = await open_edge(origin_key="k-1", drop_request_fields=("authorization", "cookie"))
    edge.origin.script = lambda asked: Reply(headers=FRESH, body=b"x")
    await edge.get("/a", authorization="Bearer viewer", cookie="session=1")
    asked = edge.origin.asked[0]
    assert asked.headers.getall("Authorization") == ["Bearer k-1"]
    assert "Cookie" not in asked.headers
    await asyncio.gather(*(edge.get("/a", authorization=f"Bearer {n}") for n in range(3)))
    assert len(edge.origin.asked) == 1


async def test_variants_are_answered_by_the_fast_lane_too(edge):
    def script(asked):
        coding = "gzip" if "gzip" in asked.headers.get("Accept-Encoding", "") else "identity"
        return Reply(headers={**FRESH, "Vary": "Accept-Encoding", "X-Coding": coding}, body=coding.encode())

    edge.origin.script = script
    for _ in range(3):
        for accept, coding in (("gzip, br", b"gzip"), ("identity", b"identity"), ("gzip,br", b"gzip")):
            assert (await edge.get("/a.m3u8", accept_encoding=accept)).body == coding
    assert len(edge.origin.asked) == 2
    assert edge.delivery.tally.fast.hits == 6  # a new variant makes the lane forget; one hit prepares it again


async def test_answers_known_to_be_private_get_the_clients_range_and_conditions(edge):
    def script(asked):
        if "Range" in asked.headers:
            headers = {"Cache-Control": "private", "Content-Range": "bytes 0-3/9"}
            return Reply(status=206, reason="Partial Content", headers=headers, body=b"part")
        return Reply(headers={"Cache-Control": "private"}, body=b"the whole")

    edge.origin.script = script
    assert (await edge.get("/me.mp4")).body == b"the whole"
    got = await edge.get("/me.mp4", range="bytes=0-3", if_none_match='"q"')
    assert (got.status, got.body) == (206, b"part")
    assert edge.origin.asked[-1].headers["If-None-Match"] == '"q"'


async def test_a_success_may_invalidate_groups(edge):
    def script(asked):
        if asked.method == "POST":
            return Reply(headers={"Cache-Group-Invalidation": '"video-1", "other"'})
        return Reply(headers={**FRESH, "Cache-Groups": '"video-1"'}, body=b"x")

    edge.origin.script = script
    await edge.get("/a")
    await edge.get("/edit", method="POST", body=b"x")
    assert "fwd=uri-miss" in (await edge.get("/a")).headers["Cache-Status"]
