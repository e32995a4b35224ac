"""Every route with every kind of caller. The routes come from the OpenAPI document, so a new one is in the matrix at
once; one that belongs to no class below fails `test_every_route_has_a_class` until somebody says who may call it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from foundation.http.endpoint import ENDPOINTS, Access
from foundation.ids import UserId
from foundation.tokens.access import AccessClaims, SigningKey, generate_pem, issue
from tests.integration.origin.callers import Operation, operations, send, subject
from tests.origin_harness import OPERATOR, SERVICE, Origin, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWNERS_ONLY = {
    *("change", "delete", "reprocess", "replace_file", "set_captions", "remove_captions"),
    *("put_part", "received_parts", "presign", "complete_upload"),
    *("tus_head", "tus_patch", "tus_override", "tus_delete"),
    *("delete_comment", "pin_comment", "unpin_comment"),
}
"""On a video, an upload or a comment of somebody else: 403 or 404, whatever the state."""

TOWARDS_ANOTHER = {
    *("like", "bookmark", "share", "comment", "like_comment", "use_sound", "follow"),
}
"""Anybody signed in may, unless one has blocked the other."""

WITHDRAWING = {
    *("unlike", "unbookmark", "unlike_comment", "unfollow", "accept", "remove_follower"),
    *("block", "unblock", "mute", "unmute"),
}
"""Takes back or keeps away: also towards somebody who has blocked one."""

OWN = {
    *("own_profile", "change_profile", "set_avatar", "remove_avatar", "export", "leave", "logout"),
    *("restrictions", "my_likes", "my_bookmarks", "notifications", "mark_read"),
    *("init_upload", "init_presigned", "tus_create", "upload_limits"),
}
"""Touches nothing but what is the caller's."""

ABOUT_SOMEONE = {
    *("profile", "followers", "following", "videos"),
    *("video", "status", "captions", "comments", "replies"),
}
"""Anybody may read, unless one has blocked the other."""

PUBLIC = {
    *("register", "login", "refresh", "jwks", "tus_options", "tus_resource_options"),
    *("search", "suggest", "hashtag", "trending", "sounds", "sound", "audio", "sound_videos"),
}

MEDIA = {
    *("pinned", "current", "pinned_head", "current_head", "token_pinned", "token_current", "avatar", "avatar_head"),
    *("caption_file", "caption_file_head", "token_caption_file"),
}
"""Opened by their path (a media token where they are not for everybody), not by who asks."""

FOR_THE_BANNED = {
    *("own_profile", "export", "leave", "logout", "restrictions", "my_likes", "my_bookmarks", "notifications"),
    *("mark_read", "received_parts", "tus_head", "tus_delete"),
}
"""What stays to somebody who is banned: to read and take away what is theirs, and to go."""

CLASSES = {
    "owners only": OWNERS_ONLY,
    "towards another": TOWARDS_ANOTHER,
    "withdrawing": WITHDRAWING,
    "own": OWN,
    "about someone": ABOUT_SOMEONE,
    "public": PUBLIC,
    "media": MEDIA,
}
LAST = ("leave", "logout")
"""They end the caller's session, so they are called after the others."""


def in_order(found: list[Operation]) -> list[Operation]:
    return sorted(found, key=lambda operation: operation.id in LAST)


async def test_every_route_has_a_class(origin: Origin) -> None:
    found = [operation for operation in await operations(origin) if operation.access != "operator"]
    assert len({operation.id for operation in found}) == len(found), "operationId must be unique"
    classes = {operation.id: [name for name, ids in CLASSES.items() if operation.id in ids] for operation in found}
    assert {name: held for name, held in classes.items() if len(held) != 1} == {}
    for operation in found:
        needs_user = operation.id in OWNERS_ONLY | TOWARDS_ANOTHER | WITHDRAWING | OWN
        assert (operation.access == "user") == needs_user, operation


async def test_no_token_is_enough_only_where_anyone_may_call(origin: Origin) -> None:
    ada = await subject(origin, await origin.person())
    for operation in await operations(origin):
        status, code = await send(origin, operation, ada, {})
        assert status < 500, (operation, status, code)
        if operation.access == "anyone":
            assert code != "unauthenticated", operation
        else:
            assert status == 401, operation


async def test_services_routes_take_nobody_without_their_key(origin: Origin) -> None:
    ada = await origin.person()
    for spec in origin.app[ENDPOINTS]:
        if spec.access is Access.SERVICE:
            for headers, expected in (({}, 401), (ada.headers, 403), (OPERATOR, 403)):
                path = origin.url + re.sub(r"\{\w+\}", "1", spec.path)
                async with origin.http.request(spec.method, path, headers=headers, json={}) as answer:
                    assert answer.status == expected, (spec.path, headers)


async def test_a_token_that_is_wrong_is_refused_everywhere(origin: Origin) -> None:
    key = SigningKey.from_pem(Path(origin.settings.jwt_key_file).read_text())  # noqa: ASYNC240 - one small file
    stranger = SigningKey.from_pem(generate_pem())
    now = int(time.time())
    ada = await subject(origin, await origin.person())

    def token(signer: SigningKey, *, expires: int) -> dict[str, str]:
        claims = AccessClaims(
            user_id=UserId(int(ada.person.id)),
            username=ada.person.name,
            session_id="1",
            issued_at_s=now - 5000,
            expires_at_s=expires,
        )
        return {"Authorization": f"Bearer {issue(claims, signer)}"}

    wrong = {
        "expired": token(key, expires=now - 100),
        "signed by another": token(stranger, expires=now + 100),
        "garbage": {"Authorization": "Bearer garbage"},
    }
    for operation in await operations(origin):
        expected = 403 if operation.access == "operator" else 401
        for kind, headers in wrong.items():
            status, _ = await send(origin, operation, ada, headers)
            if operation.id in MEDIA:
                assert status < 500  # a bearer token there is a PoP's key; public media need none
            else:
                assert status == expected, (kind, operation, status)


async def test_operators_routes_take_no_user_and_no_service(origin: Origin) -> None:
    ada = await subject(origin, await origin.person())
    for operation in await operations(origin):
        if operation.access == "operator":
            for headers in (ada.person.headers, SERVICE):
                assert (await send(origin, operation, ada, headers))[0] == 403, operation


async def test_a_stranger_reaches_nothing_that_is_the_owners(origin: Origin) -> None:
    ada, eve = await subject(origin, await origin.person()), await origin.person()
    for operation in in_order(await operations(origin)):
        if operation.access == "operator":
            continue
        status, code = await send(origin, operation, ada, eve.headers)
        assert status < 500, (operation, status, code)
        if operation.id in OWNERS_ONLY:
            assert status in (403, 404), (operation, status, code)
        elif operation.id in TOWARDS_ANOTHER | ABOUT_SOMEONE:
            assert status in (200, 201, 204, 409), (operation, status, code)
    mine = await origin.ok("GET", f"/api/v1/videos/{ada.video}", ada.person)
    assert (mine["title"], mine["captions"]) == ("mine", [])
    assert (await origin.ok("GET", f"/api/v1/videos/{ada.open_upload}/upload", ada.person))["parts"] == []


@pytest.mark.parametrize("who_blocks", ["the owner", "the caller"])
async def test_the_blocked_neither_see_nor_reach_each_other(origin: Origin, who_blocks: str) -> None:
    ada, eve = await subject(origin, await origin.person()), await origin.person()
    if who_blocks == "the owner":
        await origin.ok("POST", f"/api/v1/users/{eve.id}/block", ada.person)
    else:
        await origin.ok("POST", f"/api/v1/users/{ada.person.id}/block", eve)
    for operation in in_order(await operations(origin)):
        if operation.access == "operator" or operation.id in ("unblock", *LAST):
            continue
        status, code = await send(origin, operation, ada, eve.headers)
        assert status < 500, (operation, status, code)
        if operation.id in OWNERS_ONLY | TOWARDS_ANOTHER | ABOUT_SOMEONE:
            assert status in (403, 404), (operation, status, code)


async def banned(origin: Origin, name: str) -> Person:
    """With a token made after the ban: those from before are refused altogether."""
    person = await origin.person(name)
    decision = {"banned": True, "reason": "spam in the comments"}
    await origin.ok("POST", f"/api/v1/admin/users/{person.id}", OPERATOR, json=decision)
    return await origin.person(name)


async def test_the_banned_can_only_read_and_go(origin: Origin) -> None:
    ada, eve = await subject(origin, await origin.person()), await banned(origin, "eve_the_banned")
    for operation in in_order(await operations(origin)):
        if operation.access != "user":
            continue
        status, code = await send(origin, operation, ada, eve.headers)
        if operation.id in FOR_THE_BANNED:
            assert code != "account-banned", operation
        else:
            assert (status, code) == (403, "account-banned"), (operation, status)


async def test_a_ban_ends_sessions_and_lifting_it_lets_the_person_back(origin: Origin) -> None:
    eve = await origin.person("eve_banned")
    video = await origin.published(await origin.person(), title="v")
    reason = {"reason": "spam in the comments"}
    await origin.ok("POST", f"/api/v1/admin/users/{eve.id}", OPERATOR, json={"banned": True, **reason})

    async def cut_off() -> bool:
        return (await origin.call("POST", f"/api/v1/videos/{video}/like", eve))[0] == 401

    await origin.eventually(cut_off)
    await origin.ok("POST", f"/api/v1/admin/users/{eve.id}", OPERATOR, json={"banned": False, **reason})
    await origin.ok("POST", f"/api/v1/videos/{video}/like", await origin.person("eve_banned"))


async def teenager(origin: Origin, name: str) -> Person:
    born = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 15 * 365.25 * 86_400))
    body = {"username": name, "password": "correct horse battery", "birthdate": born}
    made = await origin.ok("POST", "/api/v1/auth/register", json=body)
    assert made["user"]["teen"] is True
    decision = {"tier": "creator", "reason": "uploads more than three"}
    await origin.ok("POST", f"/api/v1/admin/users/{made['user']['id']}", OPERATOR, json=decision)
    return Person(id=made["user"]["id"], name=name, headers={"Authorization": f"Bearer {made['accessToken']}"})


async def test_a_teen_may_act_and_shows_nothing_to_strangers(origin: Origin) -> None:
    ada, tia = await subject(origin, await origin.person()), await teenager(origin, "tia_teen")
    everything = in_order(await operations(origin))
    for operation in everything:
        if operation.access == "user" and operation.id not in LAST:
            status, code = await send(origin, operation, ada, tia.headers)
            assert status < 500, (operation, status, code)
            assert operation.id not in TOWARDS_ANOTHER or status < 400 or status == 409, (operation, status, code)
    hers, eve = await subject(origin, tia), await origin.person()
    assert (await origin.ok("GET", f"/api/v1/videos/{hers.video}", tia))["visibility"] == "followers"
    for operation in everything:
        if operation.id in ABOUT_SOMEONE - {"profile", "videos"} | TOWARDS_ANOTHER - {"follow"}:
            for caller in ({}, eve.headers):
                status, _ = await send(origin, operation, hers, caller)
                needs_token = not caller and operation.access == "user"
                assert status in ((401,) if needs_token else (403, 404)), (operation, status)
    assert (await origin.ok("GET", f"/api/v1/users/{tia.id}/videos", eve))["videos"] == []
    asked = await origin.ok("POST", f"/api/v1/users/{tia.id}/follow", eve)
    assert asked == {"following": False, "requested": True}
    assert (await origin.ok("GET", "/api/v1/search?q=tia_teen&type=users"))["users"] == []
