"""Simulated viewers at a PoP: every new video gets its quota, and its receipt says what the event log says."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from edge.events.spool import START, EventSpool
from edge.feed.impression import read_token
from edge.feed.ports import Viewer
from foundation.wire.events import WatchEvent, WatchReport
from foundation.wire.feed import FeedItem
from inference.feed.pools import PoolPolicy
from inference.feed.sources import Source
from inference.feed.watch_quantile import default_quantiles
from inference.simulation.world import World as SimulatedWorld
from tests import catalogue_items

from .conftest import NOW_S, MakeWorld, World, creator_of

OLD, NEW, VIEWERS, PAGES = 300, 4, 60, 4
DAY_S = 86_400.0


def publish(world: World, simulated: SimulatedWorld) -> None:
    """Videos 1..OLD are three days old, owed nothing any more; the NEW ones after them came a minute ago."""
    videos = simulated.videos
    for row in range(OLD + NEW):
        item = catalogue_items.video(
            row + 1,
            creator=catalogue_items.creator(int(videos.creator[row])),
            vector=videos.vectors[row],
            published_s=NOW_S - (3 * DAY_S if row < OLD else 60.0),
            duration_ms=int(videos.duration_s[row] * 1000),
        )
        world.catalogue.put(item, videos.vectors[row])


def watch(simulated: SimulatedWorld, viewer: int, item: FeedItem, rng: np.random.Generator) -> WatchReport:
    row = int(item.id) - 1
    reaction = simulated.react(viewer, row, rng, fatigue=0.0)
    return WatchReport(
        video_id=item.id,
        watch_duration=int(reaction.watched_s * 1000),
        total_duration=int(simulated.videos.duration_s[row] * 1000),
        liked=reaction.liked,
        shared=reaction.shared,
        impression=item.impression,
    )


async def logged(world: World) -> list[WatchEvent]:
    """The event log of the PoP, as it goes upstream."""
    spool, events, after = EventSpool(world.valkey), list[WatchEvent](), START
    while (part := await spool.oldest(200, wait_ms=None, after=after)).ids:
        assert not part.broken
        events += part.events
        after = part.ids[-1]
    return events


@pytest.fixture
async def played(make_world: MakeWorld) -> tuple[World, SimulatedWorld, Counter[int]]:
    """The feed after all viewers watched, and how often each video was on a page as a new one."""
    simulated = SimulatedWorld(videos=OLD + NEW, viewers=VIEWERS, seed=31, quantiles=default_quantiles())
    world = await make_world(videos=0)
    publish(world, simulated)
    rng, granted = np.random.default_rng(32), Counter[int]()
    for number in range(VIEWERS):
        cursor: str | None = None
        for _ in range(PAGES):
            page = await world.feed.page(Viewer(id=f"d:{number}"), count=10, cursor=cursor)
            granted.update(int(item.id) for item in page.videos if item.why.source == "explore")
            reports = [watch(simulated, number, item, rng) for item in page.videos]
            await world.feed.record(Viewer(id=f"d:{number}"), reports)
            cursor = page.next_cursor
    return world, simulated, granted


async def test_new_videos_get_their_quota_and_receipts_equal_the_log(
    played: tuple[World, SimulatedWorld, Counter[int]],
) -> None:
    world, simulated, granted = played
    quantiles: dict[int, list[float]] = defaultdict(list)
    everything: dict[int, list[float]] = defaultdict(list)
    for event in await logged(world):
        impression = read_token(event.report.impression)
        assert impression is not None
        video_id, watched_s = int(event.report.video_id), event.report.watch_duration / 1000
        quantile = default_quantiles().quantile(
            duration_s=float(simulated.videos.duration_s[video_id - 1]), watched_s=watched_s
        )
        everything[video_id].append(quantile)
        if impression.source == Source.EXPLORE:
            assert impression.video_id == video_id
            quantiles[video_id].append(quantile)
    rules = PoolPolicy()
    assert set(granted) == set(quantiles) == set(range(OLD + 1, OLD + NEW + 1)), "old videos are owed nothing"
    for video_id, count in granted.items():
        receipt = await world.feed.receipt(creator_of(world, video_id), video_id)
        assert (receipt.granted, receipt.quota) == (count, rules.exploration_quota)
        assert receipt.watched == len(quantiles[video_id]) == count
        assert receipt.mean_quantile == pytest.approx(np.mean(quantiles[video_id]), abs=0.01)
        means = np.cumsum(everything[video_id]) / np.arange(1, len(everything[video_id]) + 1)
        dropped = (means[rules.early_drop_after - 1 :] < rules.early_drop_below).any()
        assert count == rules.exploration_quota or dropped
