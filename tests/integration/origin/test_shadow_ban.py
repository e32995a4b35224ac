"""A program and a person over real rows: who is judged how, what is hidden, and what the hidden one sees."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from foundation.ids import EPOCH_MS
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family, shard_of
from origin.accounts.bot_job import BotJob
from origin.search.video_index import SearchUpkeep
from tests.origin_harness import OPERATOR, SERVICE, Json, Origin, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def job(origin: Origin) -> AsyncIterator[BotJob]:
    shards = Shards(origin.settings.postgres)
    await shards.open()
    yield BotJob(shards, every_s=3600, clock_s=time.time)
    await shards.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def connection(origin: Origin) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(str.__str__(origin.settings.postgres[0].dsn))
    yield connection
    await connection.close()


async def behave_as_a_program(origin: Origin, connection: asyncpg.Connection, who: Person, video_id: str) -> None:
    """30 videos, 300 watches that all end at 40 %, 900 likes of today, one device with nine others."""
    user = int(who.id)
    now_ms = int(time.time() * 1000)
    for number in range(30):
        made = (now_ms - EPOCH_MS - 1000 * (number + 1)) << 22
        await connection.execute(
            "insert into user_videos values ($1, $2, $3, 'ready', 'public', 1)", user, made, shard_of(Family.USER, user)
        )
    events = [
        {
            "eventId": f"{who.id}-{number}",
            "viewer": f"u:{who.id}",
            "popId": "local-1",
            "receivedAtMs": now_ms - number,
            "report": {"videoId": video_id, "watchDuration": 400, "totalDuration": 1000},
        }
        for number in range(300)
    ]
    await origin.ok("POST", "/internal/v1/events", SERVICE, json={"batchId": who.id, "events": events})
    await connection.executemany(
        "insert into engagements (video_id, user_id, kind, shard) values ($1, $2, 'like', 0)",
        [(number, user) for number in range(1, 901)],
    )
    for number in range(9):
        await connection.execute(
            "insert into sessions (id, user_id, shard, device_hash) values ($1, $2, $3, 'farm')",
            user + number,
            user if number == 0 else (await the_others(origin, connection))[number],
            shard_of(Family.USER, user),
        )


async def the_others(origin: Origin, connection: asyncpg.Connection) -> list[int]:
    while len(rows := await connection.fetch("select id from users order by id limit 20")) < 10:
        await origin.person()
    return [row["id"] for row in rows]


async def found(origin: Origin, query: str, who: Person | None = None) -> list[str]:
    return [video["id"] for video in (await origin.ok("GET", f"/api/v1/search?q={query}", who))["videos"]]


async def score(origin: Origin, who: Person) -> Json:
    return await origin.ok("GET", f"/api/v1/admin/users/{who.id}/bot-score", OPERATOR)


async def test_a_program_leaves_feeds_and_search_and_sees_nothing_change(
    origin: Origin, job: BotJob, connection: asyncpg.Connection
) -> None:
    bot, ada = await origin.person(), await origin.person()
    video_id = await origin.published(bot, title="marabou", hashtags=["stork"])
    other = await origin.published(ada, title="marabou in peace")
    await behave_as_a_program(origin, connection, bot, other)
    judged = await job.judge([int(bot.id), int(ada.id)])
    assert judged[int(bot.id)].score > 0.8, judged
    assert judged[int(ada.id)].score < 0.6  # it may be one of those that share the device

    async def last_told() -> str:
        return [c["kind"] for c in (await origin.changes())["changes"] if c["videoId"] == video_id][-1]

    async def hidden() -> bool:
        return await last_told() == "tombstone"

    await origin.eventually(hidden)
    assert await found(origin, "marabou") == [other]
    assert (await origin.ok("GET", "/api/v1/hashtag/stork/videos"))["videos"] == []
    for viewer in (bot, None):  # also signed out, where it might look
        profile = await origin.ok("GET", f"/api/v1/users/{bot.id}/videos?limit=50", viewer)
        assert [video["id"] for video in profile["videos"]] == [video_id]
    assert (await origin.ok("GET", f"/api/v1/videos/{video_id}", bot))["status"] == "ready"
    assert "shadow" not in str(await origin.ok("GET", "/api/v1/users/me", bot)).lower()
    again = await origin.published(bot, title="marabou again")
    assert await found(origin, "marabou") == [other]

    view = await score(origin, bot)
    assert (view["shadowBanned"], view["override"]) == (True, None)
    assert view["score"] == pytest.approx(sum(view["weights"][name] * part for name, part in view["parts"].items()))
    entry = await origin.eventually(
        lambda: connection.fetchrow("select * from audit_log where subject = $1", f"user:{bot.id}")
    )
    assert (entry["operator"], entry["action"]) == ("bot-scores", "shadow-ban")

    decision = {"override": "off", "reason": "appeal accepted"}
    assert (await origin.call("POST", f"/api/v1/admin/users/{bot.id}/bot-score", bot, json=decision))[0] == 403
    lifted = await origin.ok("POST", f"/api/v1/admin/users/{bot.id}/bot-score", OPERATOR, json=decision)
    assert (lifted["shadowBanned"], lifted["override"]) == (False, "off")

    async def back() -> bool:
        return set(await found(origin, "marabou")) == {again, other, video_id}

    await origin.eventually(back)
    assert await last_told() == "upsert"


async def test_a_hidden_person_finds_what_they_would_find_otherwise(
    origin: Origin, job: BotJob, connection: asyncpg.Connection
) -> None:
    bot, ada = await origin.person("heronymus"), await origin.person()
    await origin.ok("PATCH", "/api/v1/users/me", bot, json={"displayName": "Bittern Boom"})
    sound = await origin.ok(
        "POST", "/api/v1/admin/sounds", OPERATOR, json={"title": "boom", "artist": "reed", "durationMs": 9000}
    )
    told = {"hashtags": ["reedbed", "reedwarbler"], "musicId": sound["id"]}
    own = [await origin.published(bot, title=f"bittern number {number}", **told) for number in ("one", "two")]
    other = await origin.published(ada, title="bittern number three", **{**told, "hashtags": ["reedbed", "reeds"]})
    routes = (
        *("/api/v1/search?q=bittern", "/api/v1/search?q=bitern+number", "/api/v1/search?q=bittern+unheard"),
        *("/api/v1/hashtag/reedbed/videos?", f"/api/v1/sounds/{sound['id']}/videos?"),
        *("/api/v1/search?type=users&q=heronymus", "/api/v1/search?type=users&q=hero"),
        *("/api/v1/search?type=users&q=bittern", "/api/v1/search?type=users&q=heronimus"),
    )
    fold = SearchUpkeep(job._shards)
    await fold.fold_words()
    before = {route: await pages(origin, route, bot) for route in routes}
    heard = {"reed": ["#reedbed", "#reedwarbler", "#reeds"], "hero": ["@heronymus"], "trend": REED_TRENDS}
    assert await hints(origin, bot) == heard
    assert before[routes[0]] == [other, *reversed(own)]
    assert [bot.id in before[route] for route in routes[5:]] == [True] * 4

    decision = {"override": "on", "reason": "sells followers"}
    await origin.ok("POST", f"/api/v1/admin/users/{bot.id}/bot-score", OPERATOR, json=decision)

    async def hidden() -> bool:
        return await pages(origin, routes[0], ada) == [other]

    await origin.eventually(hidden)
    await fold.fold_words()
    assert {route: await pages(origin, route, bot) for route in routes} == before
    assert await hints(origin, bot) == heard
    for who in (ada, None):
        assert await hints(origin, who) == {"reed": ["#reedbed", "#reeds"], "hero": [], "trend": REED_TRENDS_OF_OTHERS}
        assert [await pages(origin, route, who) for route in routes] == [[other]] * 5 + [[]] * 4
    await origin.ok("PATCH", f"/api/v1/videos/{own[0]}", bot, json={"visibility": "private"})
    assert await pages(origin, routes[0], bot) == [other, own[1]]


REED_TRENDS = {"reedbed": 3, "reedwarbler": 2, "reeds": 1}
REED_TRENDS_OF_OTHERS = {"reedbed": 1, "reeds": 1}


async def hints(origin: Origin, who: Person | None) -> Json:
    """Tags and names suggested, and by how many videos our tags trend."""
    said = {
        prefix: (await origin.ok("GET", f"/api/v1/search/suggest?q={prefix}", who))["suggestions"]
        for prefix in ("reed", "hero")
    }
    trends = (await origin.ok("GET", "/api/v1/trending/hashtags?limit=100", who))["hashtags"]
    return {**said, "trend": {tag["tag"]: tag["videoCount"] for tag in trends if tag["tag"].startswith("reed")}}


async def pages(origin: Origin, route: str, who: Person | None) -> list[str]:
    """Ids of all pages of one entry each: what is found, whichever page it falls on."""
    found, cursor = [], ""
    while cursor is not None:
        page = await origin.ok("GET", f"{route}&limit=1&cursor={cursor}", who)
        found += [entry["id"] for entry in [*page.get("videos", ()), *page.get("users", ())]]
        cursor = page.get("nextCursor")
    return found


async def test_only_what_is_due_is_judged_and_each_once(
    origin: Origin, job: BotJob, connection: asyncpg.Connection
) -> None:
    ada = await origin.person()
    while await job.judge_batch():
        pass
    first = (await score(origin, ada))["scoredAtMs"]
    assert first is not None
    assert await job.judge_batch() == 0
    await connection.execute("update users set bot_scored_at = now() - interval '2 hours' where id = $1", int(ada.id))
    assert await job.judge_batch() == 1
    assert (await score(origin, ada))["scoredAtMs"] >= first


async def test_a_ban_takes_videos_out_of_the_catalogue(origin: Origin) -> None:
    eve = await origin.person()
    video_id = await origin.published(eve, title="shoebill")
    await origin.ok(
        "POST", f"/api/v1/admin/users/{eve.id}", OPERATOR, json={"banned": True, "reason": "sells what is not hers"}
    )

    async def gone() -> bool:
        told = [c["kind"] for c in (await origin.changes())["changes"] if c["videoId"] == video_id]
        return told[-1] == "tombstone" and await found(origin, "shoebill") == []

    await origin.eventually(gone)
