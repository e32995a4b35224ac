"""Every request is counted under what happened to it, and a miss under why it was one."""

from __future__ import annotations

from edge.delivery.lab.scripted_origin import Reply
from edge.delivery.tally import Outcome
from foundation.wire.pops import PurgeOrder


async def outcome_of(edge, target: str, **options) -> Outcome:
    """The outcome counted for one slow-lane request."""
    before = edge.delivery.tally.requests.copy()
    await edge.get(target, max_forwards="1", **options)
    (change,) = (edge.delivery.tally.requests - before).keys()
    return change[0]


async def test_cold_hit_expired_revalidated_purged(edge):
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=10"}, body=b"x")
    assert await outcome_of(edge, "/a") is Outcome.MISS_COLD
    assert await outcome_of(edge, "/a") is Outcome.HIT
    edge.clock.advance(11)
    assert await outcome_of(edge, "/a") is Outcome.MISS_EXPIRED
    await edge.delivery.purge(PurgeOrder(seq=1, url="/a"))
    assert await outcome_of(edge, "/a") is Outcome.MISS_PURGED
    fields = {"Cache-Control": "max-age=10, stale-while-revalidate=9", "ETag": '"1"'}
    edge.origin.script = lambda asked: Reply(
        headers=fields, body=b"x", status=304 if "If-None-Match" in asked.headers else 200
    )
    await edge.get("/b")
    edge.clock.advance(11)
    assert await outcome_of(edge, "/b") is Outcome.HIT_STALE
    await edge.delivery.settled()
    edge.clock.advance(30)
    assert await outcome_of(edge, "/b") is Outcome.REVALIDATED


async def test_bypass_refused_error_evicted(open_edge):
    edge = await open_edge(max_objects=16, read_only=True)
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "no-store"}, body=b"x")
    assert await outcome_of(edge, "/private") is Outcome.BYPASS
    assert await outcome_of(edge, "/a", method="DELETE") is Outcome.REFUSED
    assert await outcome_of(edge, "/a/../b") is Outcome.REFUSED
    edge.origin.script = lambda asked: Reply(raw=b"")
    assert await outcome_of(edge, "/broken") is Outcome.ERROR
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=100"}, body=b"x")
    for number in range(20):
        await edge.get(f"/{number}")
    assert await outcome_of(edge, "/0") is Outcome.MISS_EVICTED
