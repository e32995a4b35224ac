"""The whole path on real parts: a real clip through the real packager to media, catalogue, events and deletion."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
import pytest_asyncio

from foundation.catalogue_checksum import checksum
from foundation.wire.catalogue import CatalogueItem
from packager import package
from popreel.embedded.object_store import ObjectStoreAccess
from popreel.embedded.valkey import EmbeddedValkey
from tests.origin_harness import SERVICE, Origin, Person, one_server, origin_settings, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


def make_clip(path: Path) -> bytes:
    """Two seconds of moving bars, 320x568."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 568, "yuv420p"
        for index in range(60):
            picture = np.zeros((568, 320, 3), np.uint8)
            picture[:, (index * 5) % 300 : (index * 5) % 300 + 20] = (200, 80, index * 4)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path.read_bytes()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def origin(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_dsn: str,
    _valkey: EmbeddedValkey,
    object_store: ObjectStoreAccess,
) -> AsyncIterator[Origin]:
    folder = tmp_path_factory.mktemp("thread")
    settings = origin_settings(folder, one_server(postgres_dsn), _valkey.endpoint, object_store, lease_s=30.0)
    async with running(settings, encoder=package) as origin:
        yield origin


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ada(origin: Origin) -> Person:
    return await origin.person("ada")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def video_id(origin: Origin, ada: Person, tmp_path_factory: pytest.TempPathFactory) -> str:
    data = make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")
    video_id = await origin.upload(ada, data, title="Moving bars", hashtags=["#Bars"], description="first")
    await origin.until(ada, video_id, lambda status: status["progress"] == 1, timeout_s=60)
    return video_id


async def test_every_url_of_a_ready_video_plays(origin: Origin, video_id: str) -> None:
    video = await origin.ok("GET", f"/api/v1/videos/{video_id}")
    assert (video["title"], video["hashtags"], video["status"]) == ("Moving bars", ["bars"], "ready")
    for url in (*video["urls"].values(), video["thumbnail"], video["start"]["mp4Url"]):
        status, body = await origin.call("GET", url)
        assert status == 200, url
        assert body
    _, master = await origin.call("GET", video["urls"]["master"])
    rungs = [line for line in master.decode().splitlines() if line and not line.startswith("#")]
    assert rungs
    for rung in rungs:
        _, playlist = await origin.call("GET", f"/videos/us-east/{video_id}/{rung}")
        assert playlist.decode().startswith("#EXTM3U")


async def test_the_bytes_a_feed_item_promises_hold_the_first_fragment(origin: Origin, video_id: str) -> None:
    video = await origin.ok("GET", f"/api/v1/videos/{video_id}")
    start = video["start"]
    status, prefix = await origin.call("GET", start["mp4Url"], headers={"Range": f"bytes=0-{start['prefixBytes'] - 1}"})
    assert (status, len(prefix)) == (206, start["prefixBytes"])
    assert start["codecs"].startswith("avc1.")
    assert prefix[4:8] == b"ftyp"
    assert b"moof" in prefix
    assert f'URI="/videos/us-east/{video_id}/r1/' in start["playlist"]


async def test_media_answers_ranges_conditions_and_head(origin: Origin, video_id: str) -> None:
    url = origin.url + (await origin.ok("GET", f"/api/v1/videos/{video_id}"))["urls"]["mp4"]
    async with origin.http.head(url) as head:
        size, etag = int(head.headers["Content-Length"]), head.headers["ETag"]
        assert head.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert f'"video-{video_id}"' in head.headers["Cache-Groups"]
        assert not etag.startswith("W/")
    for headers, status, length in [
        ({"Range": "bytes=0-0"}, 206, 1),
        ({"Range": "bytes=-10"}, 206, 10),
        ({"Range": f"bytes={size}-"}, 416, None),
        ({"If-None-Match": etag}, 304, 0),
        ({"If-Range": etag, "Range": "bytes=0-9"}, 206, 10),
        ({"If-Range": '"other"', "Range": "bytes=0-9"}, 200, size),
    ]:
        async with origin.http.get(url, headers=headers) as answer:
            body = await answer.read()
            assert answer.status == status, headers
            assert length is None or len(body) == length, headers
            if status == 416:  # not what the store says, which names bucket and key
                assert await answer.text() == "the file has no such range\n"
            assert status == 416 or answer.headers["ETag"] == etag


async def test_the_catalogue_tells_pops_the_whole_item_densely_numbered(origin: Origin, video_id: str) -> None:
    log = await origin.changes()
    assert [change["seq"] for change in log["changes"]] == list(range(1, log["head"] + 1))
    item = next(change["item"] for change in reversed(log["changes"]) if change["kind"] == "upsert")
    assert (item["id"], item["creator"]["username"], item["region"], item["revision"]) == (
        video_id,
        "ada",
        "us-east",
        1,
    )
    assert item["manifest"]["renditions"][0]["name"] == "360p" or item["manifest"]["renditions"]
    _, snapshot = await origin.call("GET", "/internal/v1/catalogue/snapshot", SERVICE)
    lines = snapshot.decode().splitlines()
    assert len(lines) == 2
    assert f'"id": "{video_id}"' in lines[1]


async def test_the_digest_is_the_sum_of_the_published_videos_checksums(origin: Origin, video_id: str) -> None:
    _, snapshot = await origin.call("GET", "/internal/v1/catalogue/snapshot", SERVICE)
    items = [msgspec.json.decode(line, type=CatalogueItem) for line in snapshot.splitlines()[1:]]
    whole = await origin.ok("GET", "/internal/v1/catalogue/digest", SERVICE)
    assert (whole["count"], whole["digest"], whole["last"]) == (len(items), str(sum(map(checksum, items))), True)
    beyond = await origin.ok("GET", f"/internal/v1/catalogue/digest?after={video_id}", SERVICE)
    assert (beyond["count"], beyond["digest"]) == (0, "0")
    _, part = await origin.call("GET", f"/internal/v1/catalogue/snapshot?after={video_id}", SERVICE)
    assert len(part.splitlines()) == 1


async def test_events_count_exactly_once_however_often_they_are_sent(origin: Origin, video_id: str) -> None:
    numbers = itertools.count()

    def event() -> dict:
        report = {"videoId": video_id, "watchDuration": 1500, "totalDuration": 2000}
        return {
            "eventId": f"event-{next(numbers)}",
            "viewer": "d:phone",
            "popId": "local-1",
            "receivedAtMs": int(time.time() * 1000),
            "report": report,
        }

    async def sent(batch: dict) -> tuple[int, int]:
        receipt = await origin.ok("POST", "/internal/v1/events", SERVICE, json=batch)
        assert receipt["waiting"] == []
        return receipt["accepted"], receipt["duplicates"]

    batch = {"batchId": "b", "events": [event() for _ in range(50)]}
    assert await sent(batch) == (50, 0)
    assert await sent(batch) == (0, 50)
    overlapping = {"batchId": "c", "events": [*batch["events"][25:], event(), event()]}
    assert await sent(overlapping) == (2, 25)
    next_day = {**batch["events"][0], "receivedAtMs": batch["events"][0]["receivedAtMs"] - 86_400_000}
    assert await sent({"batchId": "d", "events": [next_day]}) == (0, 1)
    assert (await origin.ok("GET", f"/api/v1/videos/{video_id}"))["viewCount"] == 52
    history = await origin.ok("GET", "/internal/v1/viewers/d:phone/events?limit=30", SERVICE)
    assert len(history["events"]) == 30
    assert (
        history["events"][-1]["report"] | {"videoId": video_id, "watchDuration": 1500}
        == history["events"][-1]["report"]
    )
    assert (await origin.ok("GET", "/internal/v1/viewers/d:other/events", SERVICE))["events"] == []

    async def told() -> bool:
        changes = (await origin.changes())["changes"]
        return any(c["kind"] == "counters" and c["counters"]["views"] == 52 for c in changes)

    await origin.eventually(told)
    trending = await origin.ok("GET", "/api/v1/trending/hashtags")
    assert trending["hashtags"][0] == {"tag": "bars", "viewCount": 52, "videoCount": 1}


async def test_deleting_takes_everything_away(origin: Origin, ada: Person, video_id: str) -> None:
    urls = (await origin.ok("GET", f"/api/v1/videos/{video_id}"))["urls"]
    await origin.ok("DELETE", f"/api/v1/videos/{video_id}", ada)
    for url in (*urls.values(), f"/api/v1/videos/{video_id}"):
        assert (await origin.call("GET", url))[0] == 404

    async def withdrawn() -> bool:
        return (await origin.changes())["changes"][-1]["kind"] == "tombstone"

    await origin.eventually(withdrawn)
    _, snapshot = await origin.call("GET", "/internal/v1/catalogue/snapshot", SERVICE)
    assert len(snapshot.decode().splitlines()) == 1
