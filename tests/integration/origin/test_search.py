"""Search over real rows: classes of results, their order, typos, pages; and that nothing shows that must not."""

from __future__ import annotations

import asyncpg
import pytest

from foundation.stores.postgres import Shards
from origin.search.video_index import SearchUpkeep
from tests.origin_harness import Json, Origin

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def found(origin: Origin, query: str, **more: str) -> list[str]:
    page = await origin.ok("GET", "/api/v1/search", params={"q": query, **more})
    return [video["id"] for video in page["videos"]]


async def test_titles_come_before_descriptions_and_those_before_typos_and_parts(origin: Origin) -> None:
    ada = await origin.person()
    parts = await origin.published(ada, title="quokka at rest")
    near = await origin.published(ada, title="quokka dancing")
    said = await origin.published(ada, title="nothing much", description="my Quokka dances")
    named = await origin.published(ada, title="Quôkka", hashtags=["dances"])
    assert (await found(origin, "quokka dances"))[:2] == [named, said]

    async def learnt() -> bool:
        return await found(origin, "quoka dances") == [named, said, near, parts]

    await origin.eventually(learnt)
    assert await found(origin, "quokka dances") == [named, said, near, parts]
    assert await found(origin, "quok") == [named, said, near, parts]
    assert await found(origin, "🎸 %'&") == []


async def test_what_many_like_comes_first(origin: Origin) -> None:
    ada = await origin.person()
    liked = await origin.published(ada, title="axolotl one")
    fresh = await origin.published(ada, title="axolotl two")
    assert await found(origin, "axolotl") == [fresh, liked]
    for _ in range(4):
        await origin.ok("POST", f"/api/v1/videos/{liked}/like", await origin.person())

    async def raised() -> bool:
        return await found(origin, "axolotl") == [liked, fresh]

    await origin.eventually(raised)


async def test_pages_hold_everything_once_across_classes(origin: Origin) -> None:
    ada = await origin.person()
    titled = [await origin.published(ada, title=f"wombat number {n}") for n in range(5)]
    said = [await origin.published(ada, description=f"a wombat {n}") for n in range(4)]
    seen: list[str] = []
    cursor = ""
    while True:
        page: Json = await origin.ok("GET", "/api/v1/search", params={"q": "wombat", "limit": "2", "cursor": cursor})
        seen += [video["id"] for video in page["videos"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == [*reversed(titled), *reversed(said)]


async def test_what_is_not_out_for_everybody_is_never_found(origin: Origin) -> None:
    ada = await origin.person()
    video_id = await origin.published(ada, title="capybara")
    assert await found(origin, "capybara") == [video_id]
    for visibility in ("private", "unlisted", "followers"):
        await origin.ok("PATCH", f"/api/v1/videos/{video_id}", ada, json={"visibility": visibility})
        assert await found(origin, "capybara") == []
    await origin.ok("PATCH", f"/api/v1/videos/{video_id}", ada, json={"visibility": "public", "title": "pelican"})
    assert await found(origin, "capybara") == []
    assert await found(origin, "pelican") == [video_id]
    await origin.ok("DELETE", f"/api/v1/videos/{video_id}", ada)
    assert await found(origin, "pelican") == []


async def test_videos_from_before_the_index_are_indexed_and_words_counted_exactly(origin: Origin) -> None:
    ada = await origin.person()
    video_id = await origin.published(ada, title="numbat numbat", description="about a numbat")
    other = await origin.published(ada, title="numbat")
    connection = await asyncpg.connect(str.__str__(origin.settings.postgres[0].dsn))
    shards = Shards(origin.settings.postgres)
    await shards.open()
    try:

        async def counted(videos: int) -> bool:
            return await connection.fetchval("select videos from search_words where word = 'numbat'") == videos

        await origin.eventually(lambda: counted(2))
        await connection.execute("delete from video_search where video_id = $1", int(video_id))
        assert await found(origin, "numbat") == [other]
        await origin.eventually(lambda: counted(1))
        assert await SearchUpkeep(shards).fill() == 1
        assert await found(origin, "numbat") == [other, video_id]
        await origin.eventually(lambda: counted(2))
    finally:
        await shards.close()
        await connection.close()


async def test_people_called_so_come_first_then_names_that_begin_so_then_what_is_like_it(origin: Origin) -> None:
    async def people(query: str, **more: str) -> Json:
        return await origin.ok("GET", "/api/v1/search", params={"q": query, "type": "users", **more})

    called = await origin.person("zephyr")
    fewer = await origin.person("zephyr.fans")
    named = await origin.person("windy")
    await origin.ok("PATCH", "/api/v1/users/me", named, json={"displayName": "Zephyrine"})
    like = await origin.person("a_zephyr")
    await origin.ok("POST", f"/api/v1/users/{named.id}/follow", fewer)

    async def followed() -> bool:
        return (await origin.ok("GET", f"/api/v1/users/{named.id}"))["followerCount"] == 1

    await origin.eventually(followed)
    assert [user["id"] for user in (await people("Zephyr"))["users"]] == [called.id, named.id, fewer.id, like.id]
    assert {user["id"] for user in (await people("@zefyr"))["users"]} >= {called.id}
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = await people("zephyr", limit="1", cursor=cursor)
        seen += [user["id"] for user in page["users"]]
        cursor = page["nextCursor"]
    assert seen == [called.id, named.id, fewer.id, like.id]
