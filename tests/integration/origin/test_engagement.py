"""Likes, bookmarks, shares, comments: idempotent, seen at once by who acted, exact for everybody."""

from __future__ import annotations

import asyncio

import pytest

from tests.origin_harness import Origin

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_likes_and_bookmarks_are_idempotent_and_own_actions_show_at_once(origin: Origin) -> None:
    ada, bob = await origin.person(), await origin.person()
    video = await origin.published(ada, title="v")
    for _ in range(3):
        await origin.ok("POST", f"/api/v1/videos/{video}/like", bob)
        await origin.ok("POST", f"/api/v1/videos/{video}/bookmark", bob)
    seen = await origin.ok("GET", f"/api/v1/videos/{video}", bob)
    assert (seen["liked"], seen["bookmarked"], seen["likeCount"]) == (True, True, 1)
    assert (await origin.ok("GET", f"/api/v1/videos/{video}", ada))["liked"] is False
    for _ in range(2):
        await origin.ok("DELETE", f"/api/v1/videos/{video}/like", bob)
    seen = await origin.ok("GET", f"/api/v1/videos/{video}", bob)
    assert (seen["liked"], seen["likeCount"]) == (False, 0)

    async def listed() -> bool:
        liked = await origin.ok("GET", "/api/v1/users/me/likes", bob)
        kept = await origin.ok("GET", "/api/v1/users/me/bookmarks", bob)
        return liked["videos"] == [] and [entry["id"] for entry in kept["videos"]] == [video]

    await origin.eventually(listed)


async def test_the_owner_hears_of_a_like_and_gains_it_once(origin: Origin) -> None:
    ada = await origin.person()
    fans = [await origin.person() for _ in range(5)]
    video = await origin.published(ada, title="v")
    await asyncio.gather(*(origin.ok("POST", f"/api/v1/videos/{video}/like", fan) for fan in fans for _ in range(2)))

    async def gained() -> bool:
        return (await origin.ok("GET", f"/api/v1/users/{ada.id}"))["likeCount"] == 5

    await origin.eventually(gained)
    notes = (await origin.ok("GET", "/api/v1/notifications?limit=50", ada))["notifications"]
    assert {note["payload"]["userId"] for note in notes if note["kind"] == "like"} == {fan.id for fan in fans}


async def test_shares_count_and_a_retry_with_its_key_counts_once(origin: Origin) -> None:
    ada = await origin.person()
    video = await origin.published(ada)
    for _ in range(2):
        await origin.ok("POST", f"/api/v1/videos/{video}/share", ada, headers={"Idempotency-Key": "k1"})
    await origin.ok("POST", f"/api/v1/videos/{video}/share", ada, json={"channel": "whatsapp"})
    assert (await origin.ok("GET", f"/api/v1/videos/{video}"))["shareCount"] == 2


async def test_comments_page_without_gaps_while_new_ones_arrive(origin: Origin) -> None:
    ada, bob = await origin.person(), await origin.person()
    video = await origin.published(ada)
    path = f"/api/v1/videos/{video}/comment"
    ids = [(await origin.ok("POST", path, bob, json={"text": f"comment {n}"}))["id"] for n in range(7)]
    await origin.ok("POST", f"/api/v1/videos/{video}/comments/{ids[2]}/pin", ada)
    shown: list[str] = []
    cursor = ""
    while True:
        page = await origin.ok("GET", f"/api/v1/videos/{video}/comments?limit=3&cursor={cursor}")
        shown += [comment["id"] for comment in page["comments"]]
        if page["nextCursor"] is None:
            break
        cursor = page["nextCursor"]
        await origin.ok("POST", path, bob, json={"text": "meanwhile"})
    assert shown == [ids[2], *reversed(ids[3:]), ids[1], ids[0]]


async def test_replies_likes_and_deletion_keep_the_counts(origin: Origin) -> None:
    ada, bob = await origin.person(), await origin.person()
    video = await origin.published(ada)
    path = f"/api/v1/videos/{video}"
    top = await origin.ok("POST", f"{path}/comment", bob, json={"text": "first"})
    reply = await origin.ok("POST", f"{path}/comment", ada, json={"text": "answer", "parentId": top["id"]})
    deeper = await origin.ok("POST", f"{path}/comment", bob, json={"text": "more", "parentId": reply["id"]})
    assert deeper["parentId"] == top["id"]
    for _ in range(2):
        await origin.ok("POST", f"{path}/comments/{top['id']}/like", ada)
    shown = (await origin.ok("GET", f"{path}/comments", ada))["comments"][0]
    assert (shown["likeCount"], shown["liked"], shown["replyCount"]) == (1, True, 2)
    replies = (await origin.ok("GET", f"{path}/comments/{top['id']}/replies"))["comments"]
    assert [entry["text"] for entry in replies] == ["answer", "more"]
    assert (await origin.ok("GET", path))["commentCount"] == 3
    eve = await origin.person()
    assert (await origin.call("DELETE", f"{path}/comments/{top['id']}", eve))[0] == 403
    assert (await origin.call("POST", f"{path}/comments/{top['id']}/pin", bob))[0] == 403
    await origin.ok("DELETE", f"{path}/comments/{reply['id']}", ada)
    assert (await origin.ok("GET", path))["commentCount"] == 2
    await origin.ok("DELETE", f"{path}/comments/{top['id']}", bob)
    assert (await origin.ok("GET", path))["commentCount"] == 0
    assert (await origin.ok("GET", f"{path}/comments"))["comments"] == []


async def test_answers_are_read_under_their_own_video_only(origin: Origin) -> None:
    """Else whoever knows a comment's id would read the thread of a private video by way of a public one."""
    ada, eve = await origin.person(), await origin.person()
    diary, public = await origin.published(ada, visibility="private"), await origin.published(eve)
    top = await origin.ok("POST", f"/api/v1/videos/{diary}/comment", ada, json={"text": "dear diary"})
    answer = {"text": "nobody reads this", "parentId": top["id"]}
    await origin.ok("POST", f"/api/v1/videos/{diary}/comment", ada, json=answer)
    read = await origin.ok("GET", f"/api/v1/videos/{public}/comments/{top['id']}/replies", eve)
    assert read["comments"] == []
    assert (await origin.call("GET", f"/api/v1/videos/{diary}/comments/{top['id']}/replies", eve))[0] == 404


async def test_no_more_than_three_comments_stay_pinned_however_many_come_at_once(origin: Origin) -> None:
    ada = await origin.person()
    path = f"/api/v1/videos/{await origin.published(ada)}"
    made = [await origin.ok("POST", f"{path}/comment", ada, json={"text": str(number)}) for number in range(8)]
    await asyncio.gather(*(origin.ok("POST", f"{path}/comments/{comment['id']}/pin", ada) for comment in made))
    shown = (await origin.ok("GET", f"{path}/comments"))["comments"]
    assert [comment["pinned"] for comment in shown] == [True] * 3 + [False] * 5


async def test_closed_comments_take_none_but_the_creators(origin: Origin) -> None:
    ada, bob = await origin.person(), await origin.person()
    video = await origin.published(ada)
    await origin.ok("PATCH", f"/api/v1/videos/{video}", ada, json={"commentsOpen": False})
    status, problem = await origin.call("POST", f"/api/v1/videos/{video}/comment", bob, json={"text": "hi"})
    assert (status, problem["code"]) == (403, "comments-closed")
    await origin.ok("POST", f"/api/v1/videos/{video}/comment", ada, json={"text": "hi"})


async def test_nothing_can_be_done_to_a_video_that_is_not_out(origin: Origin) -> None:
    ada, bob = await origin.person(), await origin.person()
    ticket = await origin.begin(ada)
    for method, path, request in [
        ("POST", "like", {}),
        ("POST", "bookmark", {}),
        ("POST", "share", {}),
        ("POST", "comment", {"json": {"text": "hi"}}),
        ("GET", "comments", {}),
    ]:
        status, problem = await origin.call(method, f"/api/v1/videos/{ticket['videoId']}/{path}", bob, **request)
        assert (status, problem["code"]) == (404, "unknown-video"), path
