"""Export and erasure: nothing of a person stays, and what others counted of them goes down."""

from __future__ import annotations

import time

import asyncpg
import msgspec
import pytest

from tests.origin_harness import OPERATOR, SERVICE, Origin

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_erased_person_leaves_nothing_but_receipts(origin: Origin) -> None:
    ada, bob = await origin.person(), await origin.person()
    own = await origin.published(ada, title="mine", hashtags=["gone"])
    other = await origin.published(bob, title="his")
    for path in ("like", "bookmark", "share"):
        await origin.ok("POST", f"/api/v1/videos/{other}/{path}", ada)
    top = await origin.ok("POST", f"/api/v1/videos/{other}/comment", bob, json={"text": "top"})
    await origin.ok("POST", f"/api/v1/videos/{other}/comment", ada, json={"text": "my reply", "parentId": top["id"]})
    await origin.ok("POST", f"/api/v1/videos/{other}/comments/{top['id']}/like", ada)
    await origin.ok("POST", f"/api/v1/users/{bob.id}/follow", ada)
    await origin.ok("POST", f"/api/v1/users/{ada.id}/follow", bob)
    event = {
        "eventId": "one",
        "viewer": f"u:{ada.id}",
        "popId": "p",
        "receivedAtMs": int(time.time() * 1000),
        "report": {"videoId": other, "watchDuration": 1000, "totalDuration": 1000},
    }
    await origin.ok("POST", "/internal/v1/events", SERVICE, json={"batchId": "b", "events": [event]})

    _, raw = await origin.call("GET", "/api/v1/users/me/export", ada)
    lines = [msgspec.json.decode(line) for line in raw.splitlines()]
    kinds = {line["record"] for line in lines}
    assert {"profile", "follow", "session", "video", "engagement", "comment", "share", "watch-event"} <= kinds
    assert next(line for line in lines if line["record"] == "comment")["body"] == "my reply"

    left = await origin.ok("POST", "/api/v1/users/me/delete", ada, json={})
    assert left["state"] == "deleted"
    assert (await origin.call("GET", f"/api/v1/users/{ada.id}"))[0] == 404

    async def erased() -> bool:
        state = await origin.ok("GET", f"/api/v1/admin/users/{ada.id}/erasure", OPERATOR)
        return state["state"] == "erased" and len(state["receipts"]) == 10

    await origin.eventually(erased)
    video = await origin.ok("GET", f"/api/v1/videos/{other}", bob)
    assert (video["likeCount"], video["commentCount"]) == (0, 1)
    shown = (await origin.ok("GET", f"/api/v1/videos/{other}/comments"))["comments"][0]
    assert (shown["likeCount"], shown["replyCount"]) == (0, 0)
    assert (await origin.call("GET", f"/api/v1/videos/{own}"))[0] == 404
    assert (await origin.ok("GET", f"/api/v1/users/{bob.id}/following"))["users"] == []

    connection = await asyncpg.connect(str.__str__(origin.settings.postgres[0].dsn))
    try:
        traces = """
            select (select count(*) from engagements where user_id = $1)
                + (select count(*) from comments where user_id = $1)
                + (select count(*) from comment_likes where user_id = $1)
                + (select count(*) from shares where user_id = $1)
                + (select count(*) from sessions where user_id = $1)
                + (select count(*) from follows where $1 in (follower_id, followee_id))
                + (select count(*) from user_engagements where user_id = $1)
                + (select count(*) from watch_events where viewer = 'u:' || $1::bigint)
                + (select count(*) from users where id = $1 and (birthdate is not null or password_hash is not null
                    or display_name <> ''))"""

        async def no_trace() -> bool:
            return await connection.fetchval(traces, int(ada.id)) == 0

        await origin.eventually(no_trace)
    finally:
        await connection.close()


async def test_videos_made_with_the_sound_of_somebody_erased_do_not_name_them(origin: Origin) -> None:
    ada, bob = await origin.person("ada_of_the_sound"), await origin.person()
    source = await origin.published(ada, title="mine")
    sound = await origin.ok("POST", f"/api/v1/videos/{source}/sound", bob)
    assert sound["artist"] == ada.name
    made = [
        await origin.published(bob, title="his", musicId=sound["id"], visibility=visibility)
        for visibility in ("public", "private")
    ]
    assert (await origin.ok("GET", f"/api/v1/videos/{made[0]}"))["sound"]["artist"] == ada.name
    await origin.ok("POST", "/api/v1/users/me/delete", ada, json={})

    async def nobody_is_named() -> bool:
        videos = [await origin.ok("GET", f"/api/v1/videos/{video}", bob) for video in made]
        return [video["sound"]["artist"] for video in videos] == ["", ""]

    await origin.eventually(nobody_is_named)

    async def pops_know() -> bool:
        told = [change for change in (await origin.changes())["changes"] if change["videoId"] == made[0]]
        return told[-1]["item"]["sound"] == {"id": sound["id"], "title": "Original sound", "artist": ""}

    await origin.eventually(pops_know)

    async def is_gone() -> bool:
        return (await origin.call("GET", f"/api/v1/sounds/{sound['id']}"))[0] == 404

    await origin.eventually(is_gone)
    assert (await origin.ok("GET", f"/api/v1/sounds?q={ada.name}"))["sounds"] == []
    await origin.published(bob, title="and goes on")


async def test_leaving_takes_the_password(origin: Origin) -> None:
    body = {"username": "leaver", "password": "correct horse battery", "birthdate": "1990-01-01"}
    reply = await origin.ok("POST", "/api/v1/auth/register", json=body)
    headers = {"Authorization": f"Bearer {reply['accessToken']}"}
    assert (await origin.call("POST", "/api/v1/users/me/delete", headers, json={"password": "wrong"}))[0] == 401
    await origin.ok("POST", "/api/v1/users/me/delete", headers, json={"password": "correct horse battery"})
    login = {"username": "leaver", "password": "correct horse battery"}
    assert (await origin.call("POST", "/api/v1/auth/login", json=login))[0] == 401
    status, problem = await origin.call("POST", "/api/v1/auth/register", json=body)
    assert (status, problem["code"]) == (409, "username-taken")  # nobody can pose as who left
