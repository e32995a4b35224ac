"""Avatars: sent, served under names that never change, gone with the person; and a person's change in the catalogue."""

from __future__ import annotations

import asyncio
import io

import pytest
from PIL import Image

from tests.origin_harness import Json, Origin, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")


def picture(colour: str, *, kind: str = "JPEG", size: tuple[int, int] = (640, 480)) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, colour).save(target, format=kind)
    return target.getvalue()


async def send(origin: Origin, who: Person, data: bytes, kind: str = "image/jpeg") -> Json:
    return await origin.ok("POST", "/api/v1/users/me/avatar", who, data=data, headers={"Content-Type": kind})


async def creator_in_catalogue(origin: Origin, video_id: str) -> Json:
    found = (await origin.changes())["changes"]
    items = [change["item"] for change in found if change["kind"] == "upsert" and change["videoId"] == video_id]
    return items[-1]["creator"]


async def test_an_avatar_is_in_the_profile_and_in_every_item_of_the_feed(origin: Origin) -> None:
    ada = await origin.person()
    video_id = await origin.published(ada, title="with a face")
    assert (await origin.ok("GET", f"/api/v1/users/{ada.id}"))["avatarUrl"] is None

    sent = await send(origin, ada, picture("red"))
    profile = await origin.ok("GET", f"/api/v1/users/{ada.id}")
    assert profile["avatarUrl"] == sent["avatarUrl"]
    for url, edge in ((sent["avatarUrl"], 384), (sent["avatarSmallUrl"], 128)):
        async with origin.http.get(origin.url + url) as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["Cache-Groups"] == f'"avatar-{ada.id}", "user-{ada.id}"'
            with Image.open(io.BytesIO(await answer.read())) as shown:
                assert (shown.format, shown.size) == ("WEBP", (edge, edge))
            etag = answer.headers["ETag"]
        async with origin.http.get(origin.url + url, headers={"If-None-Match": etag}) as answer:
            assert answer.status == 304
    assert (await origin.ok("GET", f"/api/v1/videos/{video_id}"))["user"]["avatarUrl"] == sent["avatarSmallUrl"]

    async def told(url: str | None) -> bool:
        return (await creator_in_catalogue(origin, video_id))["avatarUrl"] == url

    await origin.eventually(lambda: told(sent["avatarSmallUrl"]))
    again = await send(origin, ada, picture("blue", kind="PNG"), "image/png")
    assert again["avatarUrl"] != sent["avatarUrl"]
    assert (await origin.call("GET", sent["avatarUrl"]))[0] == 404
    await origin.eventually(lambda: told(again["avatarSmallUrl"]))
    for _ in range(2):
        assert (await origin.ok("DELETE", "/api/v1/users/me/avatar", ada))["avatarUrl"] is None
    assert (await origin.call("GET", again["avatarUrl"]))[0] == 404
    await origin.eventually(lambda: told(None))


async def test_a_new_name_reaches_the_catalogue(origin: Origin) -> None:
    ada = await origin.person()
    video_id = await origin.published(ada, title="named anew")
    await origin.ok("PATCH", "/api/v1/users/me", ada, json={"displayName": "Ada Lovelace"})

    async def told() -> bool:
        return (await creator_in_catalogue(origin, video_id))["displayName"] == "Ada Lovelace"

    await origin.eventually(told)


async def test_what_is_no_picture_is_refused_and_changes_nothing(origin: Origin) -> None:
    ada = await origin.person()
    kept = (await send(origin, ada, picture("red")))["avatarUrl"]
    for data, kind, expected in (
        (b"GIF89a but no more", "image/gif", 400),
        (bytes(9 * 1024 * 1024), "image/png", 413),
        (picture("red"), "text/plain", 415),
        (b"", "image/png", 400),
    ):
        status, problem = await origin.call(
            "POST", "/api/v1/users/me/avatar", ada, data=data, headers={"Content-Type": kind}
        )
        assert (status, bool(problem["detail"])) == (expected, True)
    assert (await origin.ok("GET", f"/api/v1/users/{ada.id}"))["avatarUrl"] == kept
    assert (await origin.call("GET", kept))[0] == 200


async def test_several_sent_at_once_leave_one_whole(origin: Origin) -> None:
    ada = await origin.person()
    await asyncio.gather(*(send(origin, ada, picture(colour)) for colour in ("red", "lime", "blue", "white")))
    url = (await origin.ok("GET", f"/api/v1/users/{ada.id}"))["avatarUrl"]
    assert (await origin.call("GET", url))[0] == 200
    assert (await origin.call("GET", url.replace("-384", "-128")))[0] == 200


async def test_an_avatar_goes_with_its_person(origin: Origin) -> None:
    ada = await origin.person()
    url = (await send(origin, ada, picture("red")))["avatarUrl"]
    await origin.ok("POST", "/api/v1/users/me/delete", ada, json={})
    assert (await origin.call("GET", url))[0] == 404
