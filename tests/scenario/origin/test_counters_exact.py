"""Counters stay exact while flushers are killed and events are sent again and again."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from pathlib import Path

import asyncpg

from origin.settings import OriginSettings
from tests.origin_harness import SERVICE, Origin, Person, quick_encoder, running
from tests.scenario.origin.saved_settings import save
from tests.scenario.origin.victims import victims

LIKERS = 200


async def stored(origin: Origin, video_id: str) -> dict:
    connection = await asyncpg.connect(str.__str__(origin.settings.postgres[0].dsn))
    try:
        row = await connection.fetchrow(
            """select c.likes, c.views, (select count(*) from counter_journal) as waiting,
                   (select count(*) from engagements where video_id = $1 and kind = 'like') as rows
               from video_counters c where video_id = $1""",
            int(video_id),
        )
        return dict(row)
    finally:
        await connection.close()


async def set_like(origin: Origin, video: str, person: Person, *, on: bool) -> bool:
    status, problem = await origin.call("POST" if on else "DELETE", f"/api/v1/videos/{video}/like", person)
    assert status in (204, 503), problem
    return status == 204


async def test_likes_are_exact_with_200_people_and_flushers_killed_at_random(
    settings: OriginSettings, tmp_path: Path
) -> None:
    async with running(settings, encoder=quick_encoder) as origin:
        ada = await origin.person()
        people = [await origin.person() for _ in range(LIKERS)]
        video = await origin.published(ada, title="counted")
        liked: dict[str, bool] = {}

        async def toggle(person: Person) -> None:
            for _ in range(random.randrange(1, 4)):
                on = random.random() < 0.6
                # a crowd may meet 503: come back as told, like any client
                await origin.eventually(partial(set_like, origin, video, person, on=on), timeout_s=60)
                liked[person.id] = on

        config = save(settings, tmp_path / "settings.msgpack")
        async with victims("quick_flusher", str(config), count=2) as flushers, asyncio.TaskGroup() as tasks:
            killing = tasks.create_task(flushers.kill_times(20, pause_s=0.2))
            await asyncio.gather(*(toggle(person) for person in people))
            while not killing.done():
                await asyncio.gather(*(toggle(person) for person in random.sample(people, 40)))
        expected = sum(liked.values())

        async def flushed() -> bool:
            return (await stored(origin, video))["waiting"] == 0

        await origin.eventually(flushed, timeout_s=60)
        assert await stored(origin, video) == {"likes": expected, "views": 0, "waiting": 0, "rows": expected}
        assert (await origin.ok("GET", f"/api/v1/videos/{video}"))["likeCount"] == expected

        async def told_everywhere() -> bool:
            owner = await origin.ok("GET", f"/api/v1/users/{ada.id}")
            last = [c for c in (await origin.changes())["changes"] if c["kind"] == "counters"][-1]
            return owner["likeCount"] == expected and last["counters"]["likes"] == expected

        await origin.eventually(told_everywhere, timeout_s=60)


async def test_watch_events_sent_again_at_random_from_many_pops_count_once(settings: OriginSettings) -> None:
    async with running(settings, encoder=quick_encoder) as origin:
        ada = await origin.person()
        videos = [await origin.published(ada, hashtags=["twice"]) for _ in range(3)]
        events = [
            {
                "eventId": f"e{number}",
                "viewer": f"d:{number % 17}",
                "popId": f"pop-{number % 3}",
                "receivedAtMs": int(time.time() * 1000) - random.randrange(0, 90_000_000),
                "report": {"videoId": random.choice(videos), "watchDuration": 1000, "totalDuration": 1000},
            }
            for number in range(2000)
        ]
        accepted = 0

        async def pop() -> int:
            mine = random.sample(events, 1500)
            total = 0
            for start in range(0, len(mine), 100):
                batch = {"batchId": "b", "events": mine[start : start + 100]}
                for _ in range(random.randrange(1, 3)):
                    reply = await origin.ok("POST", "/internal/v1/events", SERVICE, json=batch)
                    total += reply["accepted"]
            return total

        accepted = sum(await asyncio.gather(*(pop() for _ in range(6))))
        rest = await origin.ok("POST", "/internal/v1/events", SERVICE, json={"batchId": "r", "events": events})
        assert accepted + rest["accepted"] == len(events)
        views = [(await origin.ok("GET", f"/api/v1/videos/{video}"))["viewCount"] for video in videos]
        assert views == [sum(event["report"]["videoId"] == video for event in events) for video in videos]
