"""CMCD and CMSD: next objects are fetched ahead inside the request's rights; players hear of their link."""

from __future__ import annotations

import asyncio
import random
from urllib.parse import quote

from edge.delivery.lab.scripted_origin import Asked, Reply, file_reply
from foundation.settings import Secret
from foundation.tokens.media import sign

BODY = random.Random(3).randbytes(200_000)


def cmcd(text: str) -> str:
    return "CMCD=" + quote(text, safe="")


async def test_the_next_object_is_fetched_ahead_from_either_lane(edge):
    edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')
    await edge.get("/v/1.mp4?" + cmcd('bl=0,nor="2.mp4",nrr="0-9999",sid="s",su'))
    await edge.delivery.prefetched()
    assert edge.delivery.is_cached("/v/2.mp4", prefix_bytes=10_000)
    await edge.get("/v/1.mp4?" + cmcd('nor=("../w/3.mp4" "4.mp4";r="20000-30000"),tpb=(2646.605),v=2'))
    assert edge.delivery.tally.fast.hits == 1
    await edge.until(lambda: edge.delivery.tally.cmcd_requests == 2)
    await edge.delivery.prefetched()
    assert edge.delivery.is_cached("/w/3.mp4", prefix_bytes=10_000)
    assert edge.delivery.is_cached("/v/4.mp4", prefix_bytes=0)
    assert {asked.target for asked in edge.origin.asked} == {"/v/1.mp4", "/v/2.mp4", "/w/3.mp4", "/v/4.mp4"}


async def test_what_a_player_swiped_past_before_its_turn_is_not_fetched(open_edge):
    edge = await open_edge(background_connections=1)
    gate = asyncio.Event()

    async def script(asked: Asked) -> Reply:
        if asked.target == "/v/held.mp4":
            await gate.wait()
        return file_reply(asked, BODY[:1000], etag='"v"')  # one slice: nothing of it is read ahead

    edge.origin.script = script
    await edge.get("/v/0.mp4?" + cmcd('nor="held.mp4",ot=av,sid="another"'))
    await edge.until(lambda: any(asked.target == "/v/held.mp4" for asked in edge.origin.asked))
    for clip in (1, 2, 3):
        await edge.get(f"/v/{clip}.mp4?" + cmcd(f'nor="after-{clip}.mp4",ot=av,sid="swiper"'))
    assert edge.delivery.prefetch_counts.cancelled == 2
    gate.set()
    await edge.delivery.prefetched()
    fetched = {asked.target for asked in edge.origin.asked if "after" in asked.target}
    assert fetched == {"/v/after-3.mp4"}


async def test_next_objects_outside_the_requests_rights_are_ignored(open_edge):
    edge = await open_edge(media_keys={"k": Secret("secret")}, path_prefix="/videos/")
    edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')
    token = sign("/videos/us/7/", expires_s=1_790_000_100, kid="k", keys={"k": b"secret"})
    for reference in ("../8/x.mp4", "/internal/v1/x", "http://evil/x", "//evil/x", "../../../../etc", "%2e%2e/x"):
        await edge.get(f"/t/{token}/videos/us/7/a.mp4?" + cmcd(f'nor="{reference}"'))
    await edge.until(lambda: edge.delivery.tally.cmcd_requests == 6)
    await edge.delivery.prefetched()
    assert {asked.target for asked in edge.origin.asked} == {"/videos/us/7/a.mp4"}


async def test_players_that_speak_cmcd_hear_cmsd(edge):
    edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"v"', headers={"CMSD-Dynamic": '"shield";rd=9'})
    for target in ("/v.mp4?" + cmcd("bl=100"), "/v.mp4?" + cmcd("bl=200")):
        got = await edge.get(target)
        assert got.headers["CMSD-Dynamic"].startswith('"popreel-edge";')
        assert "rd=" in got.headers["CMSD-Dynamic"]
        assert got.body == BODY
    header = await edge.get("/v.mp4", cmcd_status="bs")
    assert "CMSD-Dynamic" in header.headers
    assert "CMSD-Dynamic" not in (await edge.get("/v.mp4")).headers
    await edge.until(lambda: edge.delivery.tally.cmcd_starved == 1)


async def test_an_urgent_miss_goes_before_prefetches_and_steady_viewers(open_edge):
    edge = await open_edge(origin_connections=1, background_connections=1)
    gate = asyncio.Event()
    order: list[str] = []

    async def script(asked: Asked) -> Reply:
        order.append(asked.target)
        await gate.wait()
        return Reply(headers={"Cache-Control": "no-store"}, body=b"x")

    edge.origin.script = script
    first = asyncio.create_task(edge.get("/holds-the-connection"))
    await edge.until(lambda: order == ["/holds-the-connection"])
    pool = edge.delivery._origins._origins[0]._gate
    waiting = []
    for target in ("/ahead?CMCD=sta%3Dd", "/steady?CMCD=bl%3D5000", "/start?CMCD=su"):
        waiting.append(asyncio.create_task(edge.get(target)))
        await edge.until(lambda: pool.waiting == len(waiting))
    gate.set()
    await asyncio.gather(first, *waiting)
    assert order[1:] == ["/start", "/steady", "/ahead"]


async def test_hits_count_starts_and_stalls_however_they_are_told(edge):
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=100"}, body=b"x")
    await edge.get("/v.mp4")
    told = ["bl=100,su", "su", "bs,su=?1", "bl=1", "su=?0", " su ", 'cid="su,bs"', "bs", 'cid="a\\"b",su']
    for text in told:
        await edge.get("/v.mp4", cmcd_request=text)
        await edge.get("/v.mp4?" + cmcd(text))
    tally = edge.delivery.tally
    await edge.until(lambda: tally.cmcd_requests == 2 * len(told))
    assert tally.fast.hits == 2 * len(told)
    assert (tally.cmcd_starting, tally.cmcd_starved) == (2 * 5, 2 * 2)
