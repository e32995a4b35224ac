"""Lists made in a process beside the PoP's: it follows the catalogue, and its end costs nobody a page."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.feed import ranking
from edge.feed.lists import process
from edge.feed.lists.process import ListProcess
from edge.feed.ports import Viewer
from foundation.errors import Unavailable
from foundation.wire.events import WatchReport
from foundation.wire.feed import FeedPage
from tests.polling import until

from .conftest import MakeWorld, World, make_item


def ids(page: FeedPage) -> list[int]:
    return [int(item.id) for item in page.videos]


async def teach(world: World, viewer: Viewer, topic: int) -> None:
    videos = [video_id for video_id in world.catalogue.columns.row_of if world.topic_of(video_id) == topic][:12]
    reports = [WatchReport(video_id=str(v), watch_duration=20_000, total_duration=20_000, liked=True) for v in videos]
    await world.feed.record(viewer, reports)


async def until_true(what: Callable[[], Any]) -> None:
    await until(lambda: asyncio.sleep(0, what()), seconds=30)


def process_of(world: World) -> int:
    process_id = world.feed.ranking.process_id
    assert process_id is not None
    return process_id


def ended(process_id: int) -> bool:
    return not Path(f"/proc/{process_id}").exists()


async def test_a_catalogue_that_grows_gets_a_process_and_closing_ends_it(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(videos=60, list_process_from=100, pools_s=0.05)
    first = await world.feed.page(ann, count=10, cursor=None)
    assert world.feed.ranking.process_id is None
    for video_id in range(1000, 1060):
        world.catalogue.put(make_item(video_id, creator=video_id, topic=1, vector=world.vectors[1]), world.vectors[1])
    await until_true(lambda: world.feed.ranking.process_id)
    second = await world.feed.page(ann, count=10, cursor=first.next_cursor)
    assert not second.is_fallback
    assert not set(ids(first)) & set(ids(second))
    process_id = process_of(world)
    await world.feed.close()
    assert ended(process_id)


async def test_it_sees_what_is_put_removed_and_grown(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(videos=400, list_process_from=0, explore_every=0)
    await teach(world, ann, 3)
    page = await world.feed.page(ann, count=10, cursor=None)
    assert sum(world.topic_of(video_id) == 3 for video_id in ids(page)) >= 7
    gone = [video_id for video_id in world.catalogue.columns.row_of if world.topic_of(video_id) == 3]
    for video_id in gone:
        world.catalogue.drop(video_id)
    for number in range(900):  # more than the arrays had room for
        video_id = 8 * (1000 + number) + 3
        world.catalogue.put(make_item(video_id, creator=video_id, topic=3, vector=world.vectors[3]), world.vectors[3])
    page = await world.feed.page(ann, count=10, cursor=None)
    assert not page.is_fallback
    assert sum(video_id >= 8000 for video_id in ids(page)) >= 7
    assert not set(gone) & set(ids(page))


async def test_its_end_costs_an_order_and_no_page_and_another_takes_over(
    make_world: MakeWorld, ann: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "_AGAIN_S", 0.0)
    world = await make_world(videos=300, list_process_from=0)
    first = await world.feed.page(ann, count=10, cursor=None)
    before = process_of(world)
    os.kill(before, signal.SIGKILL)
    await until_true(lambda: not world.feed.ranking._lists.alive)
    second = await world.feed.page(ann, count=10, cursor=first.next_cursor)  # what was ranked already
    stranger = await world.feed.page(Viewer(id="d:stranger"), count=10, cursor=None)
    assert len(ids(second)) == len(ids(stranger)) == 10
    assert stranger.is_fallback
    await until_true(lambda: process_of(world) != before and world.feed.ranking._lists.alive)
    again = await world.feed.page(Viewer(id="d:another"), count=10, cursor=None)
    assert not again.is_fallback
    assert ended(before)


async def test_whoever_waits_for_a_list_when_it_ends_is_served(make_world: MakeWorld) -> None:
    world = await make_world(videos=300, list_process_from=0, rank_timeout_s=10, pages_ranked=50)
    os.kill(process_of(world), signal.SIGSTOP)
    viewers = [Viewer(id=f"d:{number}") for number in range(20)]
    pages = [asyncio.create_task(world.feed.page(viewer, count=10, cursor=None)) for viewer in viewers]
    await until_true(lambda: world.feed.ranking._lists.waiting == len(viewers))
    os.kill(process_of(world), signal.SIGKILL)
    for page in await asyncio.gather(*pages):
        assert len(ids(page)) == 10
        assert page.is_fallback


async def test_a_process_that_hangs_is_not_waited_for(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(videos=300, list_process_from=0, rank_timeout_s=0.2)
    process_id = process_of(world)
    os.kill(process_id, signal.SIGSTOP)
    page = await world.feed.page(ann, count=10, cursor=None)
    assert len(ids(page)) == 10
    assert page.is_fallback
    await world.feed.close()  # kills what does not end by itself
    assert ended(process_id)


async def test_a_process_that_goes_on_hanging_is_replaced(
    make_world: MakeWorld, ann: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(videos=300, list_process_from=0, pools_s=0.05)
    before = process_of(world)
    monkeypatch.setattr(ranking, "_AGAIN_S", 0.0)
    monkeypatch.setattr(process, "_REFRESH_S", 0.2)
    os.kill(before, signal.SIGSTOP)
    await until_true(lambda: ended(before))
    monkeypatch.setattr(process, "_REFRESH_S", 30.0)
    await until_true(lambda: process_of(world) != before and world.feed.ranking._lists.alive)
    page = await world.feed.page(ann, count=10, cursor=None)
    assert not page.is_fallback


async def test_a_model_that_serves_stays_though_the_process_ends_before_the_old_one_is_forgotten(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(videos=60, list_process_from=0)
    before = world.feed.ranking.arms.table

    async def ends(self: ListProcess, generation: int) -> None:
        raise Unavailable("the list process ended")

    monkeypatch.setattr(ListProcess, "keep", ends)
    await world.feed.models.serve(model="", experiment=None)
    assert world.feed.ranking.arms.table.generation == before.generation + 1
    page = await world.feed.page(Viewer(id="d:1"), count=10, cursor=None)
    assert not page.is_fallback


async def test_one_that_cannot_start_leaves_a_small_catalogue_where_it_was(
    make_world: MakeWorld, ann: Viewer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edge.feed.lists.process.sys.executable", "/bin/false")
    world = await make_world(videos=300, list_process_from=0)
    assert world.feed.ranking.process_id is None
    assert "does not start" in caplog.text
    page = await world.feed.page(ann, count=10, cursor=None)
    assert len(ids(page)) == 10
    assert not page.is_fallback


async def test_it_ends_with_its_pop(make_world: MakeWorld) -> None:
    """A PoP that is killed closes nothing; its sockets end with it, and that is all the process goes by."""
    world = await make_world(videos=50, list_process_from=0)
    lists = world.feed.ranking._lists
    assert isinstance(lists, ListProcess)
    lists._answers.close()
    async with asyncio.timeout(10):
        await lists._child.wait()
    assert ended(lists.process_id)
