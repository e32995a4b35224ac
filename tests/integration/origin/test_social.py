"""Follow, private accounts, block, mute, lists, search, hashtags, sounds."""

from __future__ import annotations

import pytest

from tests.origin_harness import OPERATOR, SERVICE, Json, Origin, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def follower_count(origin: Origin, who: Person) -> int:
    return (await origin.ok("GET", f"/api/v1/users/{who.id}"))["followerCount"]


async def test_following_holds_on_return_and_its_counts_are_exact(origin: Origin) -> None:
    ada, bob = await origin.person(), await origin.person()
    for _ in range(3):
        assert (await origin.ok("POST", f"/api/v1/users/{ada.id}/follow", bob))["following"] is True
    assert (await origin.ok("GET", f"/api/v1/users/{ada.id}", bob))["followedByMe"] is True
    assert [u["id"] for u in (await origin.ok("GET", f"/api/v1/users/{bob.id}/following"))["users"]] == [ada.id]

    async def counted(expected: int) -> bool:
        return await follower_count(origin, ada) == expected

    await origin.eventually(lambda: counted(1))
    await origin.ok("DELETE", f"/api/v1/users/{ada.id}/follow", bob)
    await origin.ok("POST", f"/api/v1/users/{ada.id}/follow", bob)
    await origin.ok("DELETE", f"/api/v1/users/{ada.id}/follow", bob)
    assert (await origin.ok("GET", f"/api/v1/users/{bob.id}/following"))["users"] == []
    await origin.eventually(lambda: counted(0))
    assert (await origin.call("POST", f"/api/v1/users/{bob.id}/follow", bob))[0] == 409


async def test_followers_page_newest_first(origin: Origin) -> None:
    ada = await origin.person()
    fans = [await origin.person() for _ in range(5)]
    for fan in fans:
        await origin.ok("POST", f"/api/v1/users/{ada.id}/follow", fan)

    async def all_there() -> bool:
        return await follower_count(origin, ada) == 5

    await origin.eventually(all_there)
    shown, cursor = [], ""
    while cursor is not None:
        page = await origin.ok("GET", f"/api/v1/users/{ada.id}/followers?limit=2&cursor={cursor}")
        shown += [user["id"] for user in page["users"]]
        cursor = page["nextCursor"]
    assert shown == [fan.id for fan in reversed(fans)]


async def test_a_private_account_is_asked_first_and_hides_its_videos_until_then(origin: Origin) -> None:
    ada, bob = await origin.person(), await origin.person()
    await origin.ok("PATCH", "/api/v1/users/me", ada, json={"private": True})
    video = await origin.published(ada, title="for followers")
    assert (await origin.ok("GET", f"/api/v1/videos/{video}", ada))["visibility"] == "followers"
    asked = await origin.ok("POST", f"/api/v1/users/{ada.id}/follow", bob)
    assert (asked["following"], asked["requested"]) == (False, True)
    assert (await origin.call("GET", f"/api/v1/videos/{video}", bob))[0] == 404
    await origin.ok("POST", f"/api/v1/users/{bob.id}/follow/accept", ada)
    seen = await origin.ok("GET", f"/api/v1/videos/{video}", bob)
    assert [v["id"] for v in (await origin.ok("GET", f"/api/v1/users/{ada.id}/videos", bob))["videos"]] == [video]
    # its media opens with the token in the URL, and with nothing else
    token_url = seen["urls"]["master"]
    assert token_url.startswith("/t/")
    assert (await origin.call("GET", token_url))[0] == 200
    bare = token_url[token_url.index("/videos/") :]
    assert (await origin.call("GET", bare))[0] == 404
    assert (await origin.call("GET", bare, SERVICE))[0] == 200
    forged = token_url.replace("/t/k1.", "/t/k1.9")
    assert (await origin.call("GET", forged))[0] == 404


async def test_a_block_ends_everything_between_two_people(origin: Origin) -> None:
    ada, eve = await origin.person(), await origin.person()
    video = await origin.published(ada, title="unblocked")
    await origin.ok("POST", f"/api/v1/users/{ada.id}/follow", eve)
    await origin.ok("POST", f"/api/v1/users/{eve.id}/block", ada)
    for method, path, request in [
        ("GET", f"/api/v1/users/{ada.id}", {}),
        ("GET", f"/api/v1/users/{ada.id}/videos", {}),
        ("GET", f"/api/v1/users/{ada.id}/followers", {}),
        ("GET", f"/api/v1/videos/{video}", {}),
        ("GET", f"/api/v1/videos/{video}/comments", {}),
    ]:
        assert (await origin.call(method, path, eve, **request))[0] == 404, path
    for path, request in [
        (f"/api/v1/users/{ada.id}/follow", {}),
        (f"/api/v1/videos/{video}/like", {}),
        (f"/api/v1/videos/{video}/comment", {"json": {"text": "hi"}}),
    ]:
        assert (await origin.call("POST", path, eve, **request))[0] == 403, path
    assert (await origin.ok("GET", f"/api/v1/users/{eve.id}/following"))["users"] == []
    await origin.ok("DELETE", f"/api/v1/users/{eve.id}/block", ada)
    await origin.ok("GET", f"/api/v1/videos/{video}", eve)


async def test_a_block_holds_under_a_third_persons_video(origin: Origin) -> None:
    ada, bob, eve = await origin.person(), await origin.person(), await origin.person()
    place = f"/api/v1/videos/{await origin.published(bob, title='common ground')}"

    async def say(who: Person, text: str, under: str | None = None) -> tuple[int, Json]:
        return await origin.call("POST", f"{place}/comment", who, json={"text": text, "parentId": under})

    top = (await say(ada, "ada's thread"))[1]["id"]
    below = (await say(bob, "bob's answer", top))[1]["id"]
    await origin.ok("POST", f"{place}/comments/{top}/like", eve)
    await origin.ok("POST", f"/api/v1/users/{eve.id}/block", ada)
    for comment in (top, below):  # in her thread, whomever it answers
        status, problem = await say(eve, f"@{ada.name} listen", comment)
        assert (status, problem["code"]) == (403, "blocked")
        status, problem = await origin.call("POST", f"{place}/comments/{comment}/like", eve)
        assert (status, problem["code"]) == (403, "blocked")
    mine = (await say(eve, "eve's own thread"))[1]["id"]  # the video is bob's, who has blocked nobody
    assert (await say(ada, "a word", mine))[0] == 403  # nor the other way round
    await origin.ok("DELETE", f"{place}/comments/{top}/like", eve)  # what was given before can be taken back
    seen = (await origin.ok("GET", f"{place}/comments", bob))["comments"]
    assert {entry["id"]: (entry["likeCount"], entry["replyCount"]) for entry in seen} == {top: (0, 1), mine: (0, 0)}
    told = (await origin.ok("GET", "/api/v1/notifications", ada))["notifications"]
    assert eve.id not in str(told)
    await origin.ok("DELETE", f"/api/v1/users/{eve.id}/block", ada)
    assert (await say(eve, "sorry", top))[0] == 201


async def test_the_muted_vanish_from_search_and_comments_of_who_muted_them(origin: Origin) -> None:
    ada, bob, eve = await origin.person(), await origin.person(), await origin.person()
    video = await origin.published(ada, title="a quiet zanzibar tour")
    loud = await origin.published(eve, title="a loud zanzibar tour")
    await origin.ok("POST", f"/api/v1/videos/{video}/comment", eve, json={"text": "loud"})
    await origin.ok("POST", f"/api/v1/users/{eve.id}/mute", bob)
    found = (await origin.ok("GET", "/api/v1/search?q=zanzibar", bob))["videos"]
    assert [entry["id"] for entry in found] == [video]
    assert (await origin.ok("GET", f"/api/v1/videos/{video}/comments", bob))["comments"] == []
    assert {v["id"] for v in (await origin.ok("GET", "/api/v1/search?q=zanzibar"))["videos"]} == {video, loud}


async def test_who_has_blocked_me_vanishes_for_me_and_whom_i_muted_tells_me_nothing(origin: Origin) -> None:
    ada, bob, eve = await origin.person("blockada"), await origin.person(), await origin.person()
    await origin.published(ada, title="a hidden tasmania tour", hashtags=["tasmania"])
    other = await origin.published(eve, title="an open tasmania tour", hashtags=["tasmania"])
    await origin.ok("POST", f"/api/v1/videos/{other}/comment", ada, json={"text": "nice"})
    await origin.ok("POST", f"/api/v1/users/{ada.id}/mute", eve)
    await origin.ok("POST", f"/api/v1/users/{bob.id}/block", ada)
    for route in ("/api/v1/search?q=tasmania", "/api/v1/hashtag/tasmania/videos"):
        assert [video["id"] for video in (await origin.ok("GET", route, bob))["videos"]] == [other]
    assert (await origin.ok("GET", "/api/v1/search?q=blockada&type=users", bob))["users"] == []
    assert len((await origin.ok("GET", "/api/v1/search?q=blockada&type=users"))["users"]) == 1
    assert (await origin.ok("GET", f"/api/v1/videos/{other}/comments", bob))["comments"] == []
    await origin.ok("POST", f"/api/v1/users/{eve.id}/follow", bob)

    async def told() -> list[str]:
        return [note["kind"] for note in (await origin.ok("GET", "/api/v1/notifications", eve))["notifications"]]

    async def followed() -> bool:
        return "follow" in await told()

    await origin.eventually(followed)
    assert "comment" not in await told()


async def test_search_forgives_typos_finds_people_and_pages(origin: Origin) -> None:
    ada = await origin.person("marguerite")
    videos = [await origin.published(ada, title=f"Sourdough bread lesson {n}", hashtags=["baking"]) for n in range(5)]
    await origin.published(ada, title="Sourdough in private", visibility="private")

    async def learnt() -> bool:
        return len((await origin.ok("GET", "/api/v1/search?q=sourdogh+bred"))["videos"]) == 5

    await origin.eventually(learnt)
    shown, cursor = [], ""
    while cursor is not None:
        page = await origin.ok("GET", f"/api/v1/search?q=sourdogh+bred&limit=2&cursor={cursor}")
        shown += [entry["id"] for entry in page["videos"]]
        cursor = page["nextCursor"]
    assert sorted(shown) == sorted(videos)
    assert (await origin.ok("GET", "/api/v1/search?q=margerite&type=users"))["users"][0]["id"] == ada.id
    assert (await origin.ok("GET", "/api/v1/search/suggest?q=bak"))["suggestions"] == ["#baking"]
    page = await origin.ok("GET", "/api/v1/hashtag/Baking/videos?limit=3")
    rest = await origin.ok("GET", f"/api/v1/hashtag/baking/videos?limit=3&cursor={page['nextCursor']}")
    assert [entry["id"] for entry in page["videos"] + rest["videos"]] == list(reversed(videos))
    assert rest["nextCursor"] is None


async def test_a_sound_counts_its_uses_and_lists_its_videos(origin: Origin) -> None:
    ada = await origin.person()
    sound = await origin.ok(
        "POST", "/api/v1/admin/sounds", OPERATOR, json={"title": "Rain on tin", "artist": "Nature", "durationMs": 9000}
    )
    video = await origin.published(ada, title="with rain", musicId=sound["id"])
    assert (await origin.ok("GET", f"/api/v1/videos/{video}"))["sound"]["title"] == "Rain on tin"

    async def used(times: int) -> bool:
        return (await origin.ok("GET", f"/api/v1/sounds/{sound['id']}"))["useCount"] == times

    await origin.eventually(lambda: used(1))
    assert [v["id"] for v in (await origin.ok("GET", f"/api/v1/sounds/{sound['id']}/videos"))["videos"]] == [video]
    assert (await origin.ok("GET", "/api/v1/sounds?q=rain+tinn"))["sounds"][0]["id"] == sound["id"]
    await origin.ok("DELETE", f"/api/v1/videos/{video}", ada)
    await origin.eventually(lambda: used(0))
    status, problem = await origin.call("POST", "/api/v1/admin/sounds", ada, json={"title": "x"})
    assert status == 403, problem


async def test_a_pop_learns_whom_a_viewer_follows_and_blocks(origin: Origin) -> None:
    ada, bob, eve = await origin.person(), await origin.person(), await origin.person()
    await origin.ok("POST", f"/api/v1/users/{ada.id}/follow", bob)
    await origin.ok("POST", f"/api/v1/users/{bob.id}/block", eve)
    relations = await origin.ok("GET", f"/internal/v1/users/{bob.id}/relations", SERVICE)
    assert relations == {"following": [ada.id], "blocked": [eve.id]}
