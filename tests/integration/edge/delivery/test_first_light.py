"""The path of bytes through the edge: miss, hit, fast lane, ranges, slices, HEAD, conditions."""

from __future__ import annotations

import asyncio
import random

from edge.delivery.lab.scripted_origin import Asked, Reply, file_reply
from edge.delivery.prefetcher import PrefetchOrder, PrefetchPriority
from foundation.wire.pops import PurgeOrder

BODY = random.Random(4).randbytes(500_000)


def serve_file(asked: Asked) -> Reply:
    return file_reply(asked, BODY, etag='"v1"', headers={"Cache-Groups": '"video-1", "user-2"'})


async def test_a_second_request_is_a_hit_of_the_fast_lane(edge):
    edge.origin.script = serve_file
    async with edge.client() as client:
        first = await client.get("/v.mp4")
        edge.clock.advance(5)
        second = await client.get("/v.mp4")
    assert first.body == second.body == BODY
    assert "fwd=uri-miss" in first.headers["Cache-Status"]
    assert second.headers["Cache-Status"] == "popreel-edge; hit; ttl=3595"
    assert second.headers["Age"] == "5"
    assert edge.delivery.tally.fast.hits == 1


async def test_ranges_are_cut_from_slices_and_each_slice_is_fetched_once(edge):
    edge.origin.script = serve_file
    spans = [(0, 99), (100_000, 299_999), (499_000, 499_999), (0, 499_999), (16_380, 16_390)]
    for first, last in spans:
        got = await edge.get("/v.mp4", range=f"bytes={first}-{last}")
        assert got.status == 206
        assert got.headers["Content-Range"] == f"bytes {first}-{last}/500000"
        assert got.body == BODY[first : last + 1]
    ranges = [asked.headers["Range"] for asked in edge.origin.asked]
    assert len(ranges) == len(set(ranges))


async def test_a_thousand_concurrent_misses_fetch_each_slice_once(edge):
    edge.origin.script = serve_file
    answers = await asyncio.gather(*(edge.get("/v.mp4") for _ in range(200)))
    assert all(got.body == BODY for got in answers)
    ranges = [asked.headers["Range"] for asked in edge.origin.asked]
    assert len(ranges) == len(set(ranges)) == 9


async def test_head_and_conditions_are_answered_from_the_store(edge):
    edge.origin.script = serve_file
    await edge.get("/v.mp4")
    head = await edge.get("/v.mp4", method="HEAD")
    assert (head.status, head.headers["Content-Length"], head.body) == (200, "500000", b"")
    for tag in ('"v1"', '"other", W/"v1"', "*"):
        got = await edge.get("/v.mp4", if_none_match=tag)
        assert (got.status, got.headers["ETag"]) == (304, '"v1"')
    unsatisfiable = await edge.get("/v.mp4", range="bytes=900000-")
    assert (unsatisfiable.status, unsatisfiable.headers["Content-Range"]) == (416, "bytes */500000")


async def test_purge_by_url_prefix_and_tag(edge):
    edge.origin.script = serve_file
    orders = [PurgeOrder(seq=1, url="/a/v.mp4"), PurgeOrder(seq=2, prefix="/a/"), PurgeOrder(seq=3, tag="video-1")]
    for order in orders:
        await edge.get("/a/v.mp4")
        assert "hit" in (await edge.get("/a/v.mp4")).headers["Cache-Status"]
        result = await edge.delivery.purge(order)
        assert (result.removed, result.sequence) == (1, order.seq)
        assert "fwd=uri-miss" in (await edge.get("/a/v.mp4")).headers["Cache-Status"]


async def test_a_soft_purge_revalidates(edge):
    edge.origin.script = serve_file
    await edge.get("/v.mp4")
    await edge.delivery.purge(PurgeOrder(seq=1, tag="user-2", soft=True))
    got = await edge.get("/v.mp4")
    assert "fwd=stale; fwd-status=304" in got.headers["Cache-Status"]
    assert got.body == BODY
    assert "hit" in (await edge.get("/v.mp4")).headers["Cache-Status"]


async def test_prefetch_brings_in_the_prefix(edge):
    edge.origin.script = serve_file
    assert not edge.delivery.is_cached("/v.mp4", prefix_bytes=1000)
    await edge.delivery.prefetch([PrefetchOrder(path="/v.mp4")], priority=PrefetchPriority.FEED)
    await edge.delivery.prefetched()
    assert edge.delivery.is_cached("/v.mp4", prefix_bytes=1000)
    assert [asked.headers["Range"] for asked in edge.origin.asked] == ["bytes=0-16383"]
    got = await edge.get("/v.mp4", range="bytes=0-999")
    assert "hit" in got.headers["Cache-Status"]


async def test_the_disk_survives_a_restart(open_edge, tmp_path, origin):
    origin.script = serve_file
    first = await open_edge(cache_dir=tmp_path)
    assert (await first.get("/v.mp4")).body == BODY
    await first.delivery.flush()
    second = await open_edge(cache_dir=tmp_path)
    seen = len(origin.asked)
    got = await second.get("/v.mp4")
    assert got.body == BODY
    assert "; hit; " in got.headers["Cache-Status"]
    assert len(origin.asked) == seen
