"""A shield between PoPs and the origin, and a PoP that was away."""

from __future__ import annotations

import random

from edge.delivery.lab.scripted_origin import Reply, file_reply
from foundation.settings import Secret
from foundation.tokens.media import sign
from foundation.wire.pops import PurgeOrder

BODY = random.Random(11).randbytes(300_000)


async def test_a_shield_fetches_once_for_many_pops(open_edge, origin):
    origin.script = lambda asked: file_reply(
        asked, BODY, etag='"v"', headers={"Edge-Access": "signed", "Cache-Groups": '"video-1"'}
    )
    shield = await open_edge(name="shield", child_keys={"a": Secret("key-a"), "b": Secret("key-b")})
    url = f"http://127.0.0.1:{shield.server.port}"
    pops = [
        await open_edge(
            name=f"pop-{name}", origins=(url,), origin_key=Secret(f"key-{name}"), media_keys={"k": Secret("m")}
        )
        for name in ("a", "b")
    ]
    token = sign("/videos/1/", expires_s=1_790_009_999, kid="k", keys={"k": b"m"})
    for pop in pops:
        got = await pop.get(f"/t/{token}/videos/1/v.mp4")
        assert got.body == BODY
        assert "shield; " in got.headers["Cache-Status"]
        assert (await pop.get("/videos/1/v.mp4")).status == 403
    ranges = [asked.headers["Range"] for asked in origin.asked]
    assert len(ranges) == len(set(ranges))
    assert (await shield.get("/videos/1/v.mp4")).status == 403
    shield.clock.advance(100)
    assert (await pops[0].get(f"/t/{token}/videos/1/v.mp4")).headers["Age"] == "100"


async def test_age_adds_up_through_a_shield(open_edge, origin):
    origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=100"}, body=b"x")
    shield = await open_edge(name="shield", child_keys={"a": Secret("k")})
    await shield.get("/a", authorization="Bearer k")
    shield.clock.advance(60)
    pop = await open_edge(name="pop", origins=(f"http://127.0.0.1:{shield.server.port}",), origin_key=Secret("k"))
    assert (await pop.get("/a")).headers["Age"] == "60"
    pop.clock.advance(41)
    assert "hit" not in (await pop.get("/a")).headers["Cache-Status"].rpartition("pop;")[2]


async def test_a_pop_that_was_away_validates_before_it_serves(open_edge, origin, clock, tmp_path):
    origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')
    first = await open_edge(cache_dir=tmp_path)
    for path in ("/v.mp4", "/w.mp4"):
        await first.get(path)
    await first.delivery.flush()
    clock.advance(10)
    back = await open_edge(cache_dir=tmp_path, catch_up_s=30.0)
    assert "fwd=stale; fwd-status=304" in (await back.get("/v.mp4")).headers["Cache-Status"]
    assert "hit" in (await back.get("/v.mp4")).headers["Cache-Status"]
    await back.delivery.purge(PurgeOrder(seq=9, url="/other"))
    back.delivery.caught_up()
    assert "; hit;" in (await back.get("/w.mp4")).headers["Cache-Status"]


async def test_a_pop_that_starts_while_everything_is_away_plays_what_it_has_after_a_while(
    open_edge, origin, clock, tmp_path
):
    origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')
    first = await open_edge(cache_dir=tmp_path)
    await first.get("/v.mp4")
    await first.delivery.flush()
    await origin.stop()
    clock.advance(10)
    back = await open_edge(cache_dir=tmp_path, catch_up_s=30.0)
    assert (await back.get("/v.mp4")).status == 502
    clock.advance(31)
    assert (await back.get("/v.mp4")).body == BODY
