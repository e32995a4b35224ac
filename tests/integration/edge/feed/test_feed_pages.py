"""Pages on a real Valkey: complete, without repeats or gaps, following the taste."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from edge.feed.errors import BadCursor
from edge.feed.ports import Relations, Viewer
from foundation.errors import BadInput
from foundation.wire.events import WatchReport
from foundation.wire.feed import FeedPage

from .conftest import MakeWorld, World


def ids(page: FeedPage) -> list[int]:
    return [int(item.id) for item in page.videos]


def watched(video_id: int, seconds: float = 20, **more: object) -> WatchReport:
    return WatchReport(video_id=str(video_id), watch_duration=int(seconds * 1000), total_duration=20_000, **more)  # type: ignore[arg-type]


async def chain(world: World, viewer: Viewer, pages: int, count: int = 20) -> list[int]:
    cursor, seen = None, list[int]()
    for _ in range(pages):
        page = await world.feed.page(viewer, count=count, cursor=cursor)
        seen += ids(page)
        cursor = page.next_cursor
    return seen


async def test_a_chain_of_pages_covers_the_catalogue_once(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(videos=130)
    seen = await chain(world, ann, pages=8)
    assert sorted(seen) == list(range(1, 131))


async def test_every_page_has_the_count_asked_for(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world()
    for count in (1, 7, 50):
        page = await world.feed.page(ann, count=count, cursor=None)
        assert len(page.videos) == count


async def test_asking_twice_with_one_cursor_gives_the_same_page(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world()
    first = await world.feed.page(ann, count=10, cursor=None)
    second = await world.feed.page(ann, count=10, cursor=first.next_cursor)
    await world.feed.record(ann, [watched(ids(first)[0])])
    again = await world.feed.page(ann, count=10, cursor=first.next_cursor)
    assert ids(again) == ids(second)
    assert again.next_cursor == second.next_cursor


async def test_concurrent_requests_of_one_viewer_never_share_a_place(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world()
    first = await world.feed.page(ann, count=5, cursor=None)
    pages = await asyncio.gather(*(world.feed.page(ann, count=5, cursor=first.next_cursor) for _ in range(6)))
    assert {tuple(ids(page)) for page in pages} == {tuple(ids(pages[0]))}


async def test_an_item_has_what_a_player_needs_to_start(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(videos=5)
    item = (await world.feed.page(ann, count=1, cursor=None)).videos[0]
    base = f"/videos/us-east/{item.id}"
    assert item.urls == {
        "master": f"{base}/master.m3u8",
        "360p": f"{base}/r1/360p.m3u8",
        "mp4": f"{base}/r1/360p.mp4",
    }
    assert item.thumbnail == f"{base}/r1/poster.webp"
    assert f'URI="{base}/r1/360p.mp4"' in item.start.playlist
    assert f"\n{base}/r1/360p.mp4\n" in item.start.playlist
    assert item.start.prefix_bytes == 90_000
    assert item.why.text
    assert world.delivery.orders[0].path == item.urls["mp4"]
    assert world.delivery.orders[0].last_byte == 89_999


async def test_the_next_page_follows_what_was_just_watched(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world()
    page = await world.feed.page(ann, count=10, cursor=None)
    loved = 3
    reports = [watched(v, 20, liked=True) for v in range(3, 43, 8)]
    assert all(world.topic_of(int(report.video_id)) == loved for report in reports)
    await world.feed.record(ann, reports)
    after = await world.feed.page(ann, count=10, cursor=page.next_cursor)
    share = sum(world.topic_of(v) == loved for v in ids(after)) / 10
    assert share >= 0.3  # an eighth by chance; diversity keeps it from one


async def test_a_watched_video_does_not_come_back_in_a_new_session(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world()
    first = ids(await world.feed.page(ann, count=20, cursor=None))
    await world.feed.record(ann, [watched(v) for v in first[:10]])
    world.clock.now_s += 7200
    later = await chain(world, ann, pages=5)
    assert not set(first[:10]) & set(later)


async def test_a_small_catalogue_seen_to_the_end_is_shown_again_in_a_new_session(
    make_world: MakeWorld, ann: Viewer
) -> None:
    world = await make_world(videos=6)
    page = await world.feed.page(ann, count=20, cursor=None)
    await world.feed.record(ann, [watched(v) for v in ids(page)])
    rest = await world.feed.page(ann, count=20, cursor=page.next_cursor)
    assert ids(rest) == []
    again = await world.feed.page(ann, count=20, cursor=None)
    assert sorted(ids(again)) == list(range(1, 7))
    assert again.is_fallback


async def test_a_deleted_video_leaves_the_pages_not_yet_handed_out(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(videos=60)
    page = await world.feed.page(ann, count=10, cursor=None)
    gone = [v for v in range(1, 61) if v not in ids(page)][:25]
    for video_id in gone:
        world.catalogue.drop(video_id)
    seen, cursor = ids(page), page.next_cursor
    for _ in range(5):
        page = await world.feed.page(ann, count=10, cursor=cursor)
        seen, cursor = seen + ids(page), page.next_cursor
    assert not set(gone) & set(seen)
    assert len(seen) == len(set(seen)) == 35


async def test_blocked_and_own_and_private_videos_never_appear(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(videos=90)
    blocked = 10_005
    world.users.known["501"] = Relations(blocked=frozenset({blocked}))
    private = world.catalogue.item(40)
    own = world.catalogue.item(41)
    assert private is not None
    assert own is not None
    world.catalogue.put(msgspec.structs.replace(private, visibility="followers"), None)
    world.catalogue.put(msgspec.structs.replace(own, creator=msgspec.structs.replace(own.creator, id="501")), None)
    seen = await chain(world, ann, pages=6)
    assert not {15, 16, 17, 40, 41} & set(seen)
    assert len(seen) == 85


async def test_followers_only_videos_reach_followers(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(videos=30)
    private = world.catalogue.item(9)
    assert private is not None
    world.catalogue.put(msgspec.structs.replace(private, visibility="followers"), None)
    world.users.known["501"] = Relations(following=frozenset({10_003}))
    assert 9 in await chain(world, ann, pages=2)
    assert 9 not in await chain(world, replace(ann, id="u:502", user_id="502"), pages=2)


async def test_fifty_skips_in_a_row_leave_a_sane_feed(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world()
    cursor, seen = None, list[int]()
    for _ in range(10):
        page = await world.feed.page(ann, count=5, cursor=cursor)
        assert len(page.videos) == 5
        await world.feed.record(ann, [watched(v, 0.4) for v in ids(page)])
        seen, cursor = seen + ids(page), page.next_cursor
    assert len(set(seen)) == 50
    after = await world.feed.page(ann, count=20, cursor=cursor)
    assert len(after.videos) == 20
    assert len({world.topic_of(v) for v in ids(after)}) >= 3
    assert not after.is_fallback


async def test_interests_lead_the_first_page(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world()
    await world.feed.interests(ann, ["#Topic5"])
    page = await world.feed.page(ann, count=10, cursor=None)
    assert sum(world.topic_of(v) == 5 for v in ids(page)) >= 5
    assert any("interest" in item.why.text for item in page.videos)


async def test_hidden_creators_and_hashtags_stay_away(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(videos=80)
    await world.feed.hide_creator(ann, 10_002)
    await world.feed.hide_tag(ann, "#TOPIC1")
    seen = await chain(world, ann, pages=5)
    assert not {6, 7, 8} & set(seen)
    assert all(world.topic_of(v) != 1 for v in seen)


async def test_a_report_sent_twice_counts_once(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world()
    report = watched(3, event_id="abc")
    assert await world.feed.record(ann, [report, report]) == ["abc", "abc"]
    await world.feed.record(ann, [report])
    row = world.catalogue.columns.row_of[3]
    assert world.catalogue.columns.seen_count[row] == 1


async def test_a_watch_says_the_less_to_newcomers_the_more_its_viewer_had_watched(
    make_world: MakeWorld, ann: Viewer
) -> None:
    world = await make_world()
    await world.feed.record(ann, [watched(v, 20) for v in (1, 2, 3)])
    await world.feed.record(ann, [watched(4, 20)])
    columns = world.catalogue.columns
    first, *later = (float(columns.newcomers[columns.row_of[v]]) for v in (1, 2, 3, 4))
    assert first > 0
    assert later == pytest.approx([first / 2, first / 3, first / 4])


async def test_new_videos_get_their_places_and_the_quota_is_kept(make_world: MakeWorld) -> None:
    world = await make_world(videos=200, exploration_quota=2)
    for number in range(30):
        viewer = Viewer(id=f"d:{number}")
        await world.feed.page(viewer, count=20, cursor=None)
    granted = world.catalogue.columns.granted[: world.catalogue.columns.count]
    assert granted.max() == 2
    assert 48 <= granted.sum() <= 66  # about two places in each page of twenty, less those whose quota others used up


async def test_a_page_keeps_creators_apart(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world()
    await world.feed.record(ann, [watched(v, liked=True) for v in (3, 11, 19)])
    page = await world.feed.page(ann, count=20, cursor=None)
    creators = [item.user.id for item in page.videos if item.why.source != "explore"]
    for start in range(len(creators) - 6):
        assert len(set(creators[start : start + 6])) == 6


async def test_the_following_feed_is_newest_first_without_repeats(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(videos=60)
    world.users.known["501"] = Relations(following=frozenset({10_001, 10_004, 10_010}))
    first = await world.feed.following_page(ann, count=5, cursor=None)
    second = await world.feed.following_page(ann, count=5, cursor=first.next_cursor)
    end = await world.feed.following_page(ann, count=5, cursor=second.next_cursor)
    assert ids(first) + ids(second) == [3, 4, 5, 12, 13, 14, 30, 31, 32]
    assert ids(end) == []


@pytest.mark.parametrize("cursor", ["x", "not a cursor", "_" * 60, "YWJj", "4pyT"])
async def test_a_foreign_cursor_is_refused_clearly(make_world: MakeWorld, ann: Viewer, cursor: str) -> None:
    world = await make_world(videos=5)
    with pytest.raises(BadCursor, match="without a cursor"):
        await world.feed.page(ann, count=5, cursor=cursor)


async def test_a_report_about_no_id_is_refused_before_anything_is_stored(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(videos=5)
    with pytest.raises(BadInput):
        await world.feed.record(ann, [watched(1), replace_id(watched(2), "x")])
    assert await world.valkey.xlen("events:watch") == 0


def replace_id(report: WatchReport, video_id: str) -> WatchReport:
    return msgspec.structs.replace(report, video_id=video_id)
