"""More pages at once than can be ranked: they come in the order that stands, and a refused report leaves no trace."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from edge.events.spool import STREAM
from edge.feed.ports import Viewer
from edge.feed.session import Session
from foundation.errors import Unavailable
from foundation.wire.events import WatchReport
from foundation.wire.feed import FeedPage

from .conftest import MakeWorld, World


def ids(page: FeedPage) -> list[int]:
    return [int(item.id) for item in page.videos]


def disliked(page: FeedPage) -> list[WatchReport]:
    return [
        WatchReport(video_id=item.id, watch_duration=100, total_duration=20_000, not_interested=True)
        for item in page.videos[:3]
    ]


async def asked_behind(world: World, viewer: Viewer, page: FeedPage) -> asyncio.Task[None]:
    """The viewer disliked a page, and a list is being made behind it."""
    await world.feed.record(viewer, disliked(page))
    behind = asyncio.create_task(world.feed._rank_ahead(viewer))
    await asyncio.sleep(0)  # it asks for a list and waits for it
    assert [key[0] for key in world.feed._places._making] == [viewer.id]
    return behind


async def session_of(world: World, viewer: Viewer) -> Session:
    session = (await world.feed._store.load(viewer.id)).session
    assert session is not None
    return session


async def test_in_a_crowd_a_page_comes_in_the_order_that_stands(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(pages_ranked=1, explore_every=0)
    first = await world.feed.page(ann, count=10, cursor=None)
    await world.feed.record(ann, disliked(first))
    standing = [pick.video_id for pick in (await session_of(world, ann)).tail]
    with world.feed._in_progress:
        second = await world.feed.page(ann, count=10, cursor=first.next_cursor)
    assert ids(second) == standing[:10]
    assert not second.is_fallback
    third = await world.feed.page(ann, count=10, cursor=second.next_cursor)  # alone again: ranked with the report
    assert ids(third) != standing[10:20]
    shown = ids(first) + ids(second) + ids(third)
    assert len(set(shown)) == 30


async def test_in_a_crowd_a_new_session_begins_with_what_the_last_one_had_not_shown(
    make_world: MakeWorld, ann: Viewer
) -> None:
    world = await make_world(pages_ranked=1)
    first = await world.feed.page(ann, count=10, cursor=None)
    standing = [pick.video_id for pick in (await session_of(world, ann)).tail]
    world.catalogue.drop(standing[0])
    with world.feed._in_progress:
        again = await world.feed.page(ann, count=10, cursor=None)
        stranger = await world.feed.page(Viewer(id="d:stranger"), count=10, cursor=None)
    assert ids(again) == standing[1:11]
    assert not set(ids(again)) & set(ids(first))
    assert len(ids(stranger)) == 10


async def test_after_a_reset_nothing_of_the_old_order_is_left(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(pages_ranked=1)
    await world.feed.page(ann, count=10, cursor=None)
    await world.feed.reset(ann)
    assert (await session_of(world, ann)).tail == ()


async def test_a_short_tail_is_ranked_behind_the_page_that_found_it_so(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(pages_ranked=1, session_items=20)
    first = await world.feed.page(ann, count=8, cursor=None)
    await world.feed.record(ann, disliked(first))
    with world.feed._in_progress:
        second = await world.feed.page(ann, count=8, cursor=first.next_cursor)
    await world.feed._ahead._tasks[ann.id]
    session = await session_of(world, ann)
    assert not session.stale
    assert len(session.tail) == 40, "twice as long as usual: it is to last"
    third = await world.feed.page(ann, count=8, cursor=second.next_cursor)
    assert ids(third) == [pick.video_id for pick in session.tail[:8]]
    assert not set(ids(third)) & {*ids(first), *ids(second)}


async def test_a_list_ranked_behind_never_brings_back_what_was_shown_meanwhile(
    make_world: MakeWorld, ann: Viewer
) -> None:
    world = await make_world(pages_ranked=1, session_items=40)
    first = await world.feed.page(ann, count=10, cursor=None)
    shown, cursor = ids(first), first.next_cursor
    for _ in range(6):
        await world.feed.record(ann, disliked(first))
        with world.feed._in_progress:
            ahead, page = await asyncio.gather(
                world.feed._rank_ahead(ann), world.feed.page(ann, count=10, cursor=cursor)
            )
        assert ahead is None
        shown, cursor = shown + ids(page), page.next_cursor
    assert len(shown) == len(set(shown)) == 70


async def test_a_list_that_is_being_made_is_not_made_twice(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(session_items=20, list_process_from=0)
    first = await world.feed.page(ann, count=20, cursor=None)
    ahead = await asked_behind(world, ann, first)
    page = await world.feed.page(ann, count=10, cursor=first.next_cursor)  # the tail is used up: it has to wait
    await ahead
    session = await session_of(world, ann)
    assert session.lists == 2
    assert len(session.tail) == 30
    assert not set(ids(first)) & set(ids(page))


async def test_a_list_made_before_a_reset_is_not_waited_for_after_it(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(list_process_from=0)
    first = await world.feed.page(ann, count=10, cursor=None)
    ahead = await asked_behind(world, ann, first)
    await world.feed.reset(ann)
    await world.feed.page(ann, count=10, cursor=None)
    session = await session_of(world, ann)
    await ahead
    assert (await session_of(world, ann)).tail == session.tail
    assert session.lists == 3, "the first one, the reset, and a list of its own"


async def test_a_list_for_the_session_before_serves_the_next_one(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(list_process_from=0)
    first = await world.feed.page(ann, count=10, cursor=None)
    ahead = await asked_behind(world, ann, first)
    with world.feed._in_progress, world.feed._in_progress:
        again = await world.feed.page(ann, count=10, cursor=None)
    before = (await session_of(world, ann)).tail
    await ahead
    session = await session_of(world, ann)
    assert session.tail != before
    assert session.stale, "the new session's own list is still to come"
    page = await world.feed.page(ann, count=10, cursor=again.next_cursor)
    shown = ids(first) + ids(again) + ids(page)
    assert len(set(shown)) == 30


async def test_a_report_gives_way_to_pages_but_not_for_long(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world()
    with world.feed._in_progress:
        await world.feed.record(ann, [WatchReport(video_id="3", watch_duration=9000, total_duration=20_000)])
    assert (await world.feed._store.load(ann.id)).taste.events == 1


async def test_a_refused_report_leaves_no_trace_and_counts_when_it_comes_again(
    make_world: MakeWorld, ann: Viewer
) -> None:
    world = await make_world()
    spool = world.feed._watching.spool
    report = WatchReport(video_id="3", watch_duration=20_000, total_duration=20_000, liked=True, event_id="again")
    before = await world.feed._store.load(ann.id)
    most, spool._most_events, spool._full = spool._most_events, 0, True
    with pytest.raises(Unavailable, match="full"):
        await world.feed.record(ann, [report])
    spool._most_events, spool._full = most, False
    await world.valkey.set(STREAM, "no stream")  # refused after the taste was saved
    with pytest.raises(Unavailable, match="stored"):
        await world.feed.record(ann, [report])
    await world.valkey.delete(STREAM)
    after = await world.feed._store.load(ann.id)
    row = world.catalogue.columns.row_of[3]
    assert after.taste.events == before.taste.events
    assert after.seen.tolist() == before.seen.tolist()
    assert not after.from_memory
    assert world.catalogue.columns.seen_count[row] == 0
    await world.feed.record(ann, [report])
    await world.feed.record(ann, [report])
    learned = await world.feed._store.load(ann.id)
    assert learned.taste.events == before.taste.events + 1
    assert world.catalogue.columns.seen_count[row] == 1
    assert np.isfinite(learned.taste.sums).all()
