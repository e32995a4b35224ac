"""Serving stale: while revalidating, on errors, with a dead origin, and who forbids it (RFC 5861, RFC 9111 4.2.4)."""

from __future__ import annotations

import asyncio

import pytest

from edge.delivery.lab.scripted_origin import Asked, Reply


async def test_stale_while_revalidate_answers_now_and_refreshes_once(edge):
    release = asyncio.Event()
    bodies = iter([b"old", b"new"])

    async def script(asked: Asked) -> Reply:
        body = next(bodies)
        if body == b"new":
            await release.wait()
        return Reply(
            headers={"Cache-Control": "max-age=5, stale-while-revalidate=60", "ETag": f'"{body!r}"'}, body=body
        )

    edge.origin.script = script
    await edge.get("/a")
    edge.clock.advance(10)
    stale = await asyncio.gather(*(edge.get("/a") for _ in range(5)))
    assert {got.body for got in stale} == {b"old"}
    assert all('hit; ttl=-5; detail="stale-while-revalidate"' in got.headers["Cache-Status"] for got in stale)
    release.set()
    await edge.delivery.settled()
    assert (await edge.get("/a")).body == b"new"
    assert len(edge.origin.asked) == 2


async def test_beyond_its_window_it_waits_for_the_origin(edge):
    edge.origin.script = lambda asked: Reply(
        headers={"Cache-Control": "max-age=5, stale-while-revalidate=5"}, body=b"x"
    )
    await edge.get("/a")
    edge.clock.advance(11)
    assert "hit" not in (await edge.get("/a")).headers["Cache-Status"]


async def test_a_dead_origin_is_covered_by_default(edge):
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=5", "ETag": '"1"'}, body=b"x")
    await edge.get("/a")
    edge.clock.advance(100)
    await edge.origin.stop()
    got = await edge.get("/a")
    assert (got.status, got.body) == (200, b"x")
    assert "hit; ttl=-95" in got.headers["Cache-Status"]
    assert got.headers["Age"] == "100"


@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "s-maxage=5", "no-cache"])
async def test_some_directives_forbid_it(edge, directive):
    edge.origin.script = lambda asked: Reply(
        headers={
            "Cache-Control": f"max-age=5, stale-if-error=900, stale-while-revalidate=900, {directive}",
            "ETag": '"1"',
        },
        body=b"x",
    )
    await edge.get("/a")
    edge.clock.advance(100)
    await edge.origin.stop()
    assert (await edge.get("/a")).status == 502


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_stale_if_error_covers_server_errors_inside_its_window(edge, status):
    edge.origin.script = lambda asked: Reply(
        headers={"Cache-Control": "max-age=5, stale-if-error=60", "ETag": '"1"'}, body=b"x"
    )
    await edge.get("/a")
    edge.origin.script = lambda asked: Reply(status=status, reason="Bad", body=b"oops")
    edge.clock.advance(30)
    got = await edge.get("/a")
    assert (got.status, got.body) == (200, b"x")
    edge.clock.advance(60)
    got = await edge.get("/a")
    assert (got.status, got.body) == (status, b"oops")


async def test_without_stale_if_error_the_origins_error_is_passed_on(edge):
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=5", "ETag": '"1"'}, body=b"x")
    await edge.get("/a")
    edge.origin.script = lambda asked: Reply(status=503, reason="Busy", body=b"oops")
    edge.clock.advance(30)
    assert (await edge.get("/a")).status == 503
    edge.origin.script = lambda asked: Reply(
        status=304, reason="NM", headers={"ETag": '"1"', "Cache-Control": "max-age=5"}
    )
    assert (await edge.get("/a")).body == b"x"


async def test_only_if_cached_gets_504_instead_of_the_origin(edge):
    got = await edge.get("/a", cache_control="only-if-cached")
    assert got.status == 504
    assert edge.origin.asked == []


async def test_clients_may_force_a_validation_where_that_is_allowed(open_edge):
    for obey, asked in ((True, 2), (False, 1)):
        edge = await open_edge(obey_client_no_cache=obey)
        edge.origin.asked.clear()
        edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=50", "ETag": '"1"'}, body=b"x")
        await edge.get("/a")
        await edge.get("/a", cache_control="no-cache")
        assert len(edge.origin.asked) == asked
