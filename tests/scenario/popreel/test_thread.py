"""The thread, by the command line and the public API: upload, both PoPs' feeds, playing from the cache, events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from popreel.lab.throwaway import ThrowawayPlatform
from tests.polling import until

DEADLINE_S = 20.0


@pytest.fixture(scope="module")
def video(platform: ThrowawayPlatform, make_clip: Callable[..., Path]) -> dict[str, Any]:
    """A clip uploaded by `popreel upload --json`: what the command printed about it."""
    result = platform.popreel("upload", make_clip("thread"), "--as", "ana", "--title", "The thread", "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    (outcome,) = json.loads(result.stdout)
    assert outcome["state"] == "ready"
    return dict(outcome)


async def _feed(http: aiohttp.ClientSession, pop_url: str, token: str, *, only: str) -> list[dict[str, Any]]:
    """The items of a fresh feed page that are the video `only`."""
    async with http.get(f"{pop_url}/api/v1/feed", headers={"Authorization": f"Bearer {token}"}) as answer:
        assert answer.status == 200, await answer.text()
        page = await answer.json()
        return [item for item in page["videos"] if item["id"] == only]


@pytest.mark.parametrize("pop", ["local-1", "local-2"])
async def test_a_new_video_reaches_the_feed_of_each_pop(
    platform: ThrowawayPlatform, video: dict[str, Any], http: aiohttp.ClientSession, pop: str
) -> None:
    viewer = platform.token(f"viewer.{pop[-1]}")
    (item,) = await until(lambda: _feed(http, platform.urls[pop], viewer, only=video["videoId"]), seconds=DEADLINE_S)
    assert item["title"] == "The thread"
    assert item["user"]["username"] == "ana"


async def test_media_plays_from_the_cache_of_the_pop(
    platform: ThrowawayPlatform, video: dict[str, Any], http: aiohttp.ClientSession
) -> None:
    master = f"{platform.urls['local-2']}{video['urls']['master']}"
    async with http.get(master) as answer:
        assert answer.status == 200
        playlist = await answer.text()
    assert playlist.startswith("#EXTM3U")
    media = f"{platform.urls['local-2']}{video['urls']['mp4']}"
    verdicts = []
    for _ in range(2):
        async with http.get(media, headers={"Range": "bytes=0-1023"}) as answer:
            assert answer.status == 206
            assert len(await answer.read()) == 1024
            verdicts.append(answer.headers["Cache-Status"])
    assert "hit" in verdicts[1]


async def test_watch_events_reach_the_training_log(
    platform: ThrowawayPlatform, video: dict[str, Any], http: aiohttp.ClientSession
) -> None:
    """Three events answered 202 at a PoP are three events in what `popreel train` exports; a resend adds none."""
    token = platform.token("watcher")
    reports = [
        {"videoId": video["videoId"], "watchDuration": 900, "totalDuration": 2000, "eventId": f"thread-{n}"}
        for n in range(3)
    ]
    for report in [*reports, reports[0]]:
        async with http.post(
            f"{platform.pop_url}/api/v1/analytics/watch", json=report, headers={"Authorization": f"Bearer {token}"}
        ) as answer:
            assert answer.status == 202, await answer.text()

    async def exported() -> int | None:
        seen = await asyncio.to_thread(_exported_events, platform)
        return seen if seen >= len(reports) else None

    assert await until(exported, seconds=DEADLINE_S) == len(reports)


def _exported_events(platform: ThrowawayPlatform) -> int:
    result = platform.popreel("train")
    assert result.returncode == 1
    assert "a release needs" in result.stderr
    log = platform.folder.scratch / "training" / "events.ndjson"
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return sum(event["report"]["watchDuration"] == 900 for event in events)


def test_upload_fails_unless_every_file_is_ready(
    platform: ThrowawayPlatform, make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video at all" * 1000)
    result = platform.popreel("upload", make_clip("good"), bad, tmp_path / "absent.mp4", "--as", "ana", "--json")
    assert result.returncode == 1
    good_outcome, bad_outcome, absent_outcome = json.loads(result.stdout)
    assert good_outcome["state"] == "ready"
    assert bad_outcome["reason"]
    assert absent_outcome["code"] == "unreadable"


def test_status_counts_every_process_once(platform: ThrowawayPlatform) -> None:
    result = platform.popreel("status", "--json")
    assert result.returncode == 0
    status = json.loads(result.stdout)
    names = [process["name"] for process in status["processes"]]
    assert len(names) == len(set(names)) == 11
    assert sum(process["memoryBytes"] for process in status["processes"]) <= status["memoryBytes"]
    assert {pop["popId"] for pop in status["pops"]} == {"local-1", "local-2"}
    people = platform.popreel("status")
    assert "worker-1" in people.stdout
    assert "MiB" in people.stdout
