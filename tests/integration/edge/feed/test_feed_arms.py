"""Experiments and canaries: stable assignment, logged arms, harm stopped; receipts, restarts and viral alarms."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from edge.feed.impression import read_token
from edge.feed.ports import Viewer
from edge.feed.virality import ViralWatch, suspects, warm_orders
from foundation.wire.events import WatchReport
from foundation.wire.feed import FeedItem
from inference.experiments import CONTROL, Arm, Experiment, RunningMean, compare, does_harm, sample_ratio_z
from inference.feed.outcome import Outcome
from inference.feed.pools import PoolPolicy, make_pools

from .conftest import NOW_S, MakeWorld, creator_of

EXPERIMENT = Experiment(name="calm", arms={"few": Arm(share=0.5, explore_every=0)})


def report(item: FeedItem, seconds: float) -> WatchReport:
    return WatchReport(
        video_id=item.id, watch_duration=int(seconds * 1000), total_duration=20_000, impression=item.impression
    )


def test_assignment_is_stable_and_keeps_its_shares() -> None:
    arms = [EXPERIMENT.assign(f"u:{n}") for n in range(20_000)]
    assert arms == [EXPERIMENT.assign(f"u:{n}") for n in range(20_000)]
    counts = {arm: arms.count(arm) for arm in set(arms)}
    assert sample_ratio_z(counts, {"few": 0.5, CONTROL: 0.5}) < 4
    assert sample_ratio_z({"few": 9000, CONTROL: 11_000}, {"few": 0.5, CONTROL: 0.5}) > 4


def test_raising_a_share_keeps_everybody_who_was_in() -> None:
    small = Experiment(name="e", arms={"b": Arm(share=0.01)})
    large = Experiment(name="e", arms={"b": Arm(share=0.1)})
    inside = [n for n in range(20_000) if small.assign(str(n)) == "b"]
    assert inside
    assert all(large.assign(str(n)) == "b" for n in inside)


def test_shares_beyond_one_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1"):
        Experiment(name="e", arms={"a": Arm(share=0.7), "b": Arm(share=0.7)})


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        effect = compare(rng.normal(0, 1, 200), rng.normal(0.2, 1, 200))
        covered += effect.low <= 0.2 <= effect.high
    assert covered / 400 > 0.91


def test_the_guard_hardly_ever_stops_an_equal_arm_and_finds_a_bad_one() -> None:
    rng = np.random.default_rng(2)
    false_alarms = 0
    for _ in range(60):
        control, same = RunningMean(), RunningMean()
        stopped = False
        for _ in range(1200):
            control.add(rng.random())
            same.add(rng.random())
            stopped = stopped or does_harm(control, same)
        false_alarms += stopped
    control, bad = RunningMean(), RunningMean()
    for _ in range(3000):
        control.add(rng.random())
        bad.add(rng.random() * 0.6)
    assert false_alarms <= 1
    assert does_harm(control, bad)


async def test_the_arm_decides_and_is_logged_with_every_impression(make_world: MakeWorld) -> None:
    world = await make_world(videos=300, experiment=EXPERIMENT)
    for number in range(12):
        viewer = Viewer(id=f"d:{number}")
        page = await world.feed.page(viewer, count=20, cursor=None)
        arm = EXPERIMENT.assign(viewer.id)
        tokens = [read_token(item.impression) for item in page.videos]
        assert {token.arm for token in tokens if token} == {f"calm={arm}"}
        explored = sum(item.why.source == "explore" for item in page.videos)
        assert explored == (0 if arm == "few" else 2)


async def test_an_arm_that_does_harm_loses_its_viewers(make_world: MakeWorld) -> None:
    world = await make_world(videos=400, experiment=EXPERIMENT)
    arms = world.feed.ranking.arms
    for number in range(40):
        viewer = Viewer(id=f"d:{number}")
        page = await world.feed.page(viewer, count=20, cursor=None)
        seconds = 1.0 if EXPERIMENT.assign(viewer.id) == "few" else 19.0
        await world.feed.record(viewer, [report(item, seconds) for item in page.videos])
    assert arms.stopped == {"few"}
    assert {arms.arm_of(f"d:{number}") for number in range(40)} == {CONTROL}


async def test_an_arm_whose_model_is_missing_falls_back_to_control(make_world: MakeWorld) -> None:
    broken = Experiment(name="new", arms={"m": Arm(share=1.0, model="absent")})
    world = await make_world(videos=40, experiment=broken)
    assert world.feed.ranking.arms.arm_of("d:1") in {"m", CONTROL}
    page = await world.feed.page(Viewer(id="d:1"), count=10, cursor=None)
    assert len(page.videos) == 10


async def test_the_receipt_equals_what_was_handed_out_and_reported(make_world: MakeWorld) -> None:
    world = await make_world(videos=150)
    granted: dict[str, int] = {}
    watched: dict[str, int] = {}
    for number in range(15):
        viewer = Viewer(id=f"d:{number}")
        page = await world.feed.page(viewer, count=20, cursor=None)
        trials = [item for item in page.videos if item.why.source == "explore"]
        for item in trials:
            granted[item.id] = granted.get(item.id, 0) + 1
        await world.feed.record(viewer, [report(item, 12) for item in trials[:1]])
        for item in trials[:1]:
            watched[item.id] = watched.get(item.id, 0) + 1
    assert granted
    for video_id, count in granted.items():
        receipt = await world.feed.receipt(creator_of(world, int(video_id)), int(video_id))
        assert (receipt.granted, receipt.watched) == (count, watched.get(video_id, 0))
        assert receipt.quota == 30
        assert (receipt.mean_quantile > 0) == (receipt.watched > 0)


async def test_a_restart_forgets_neither_counts_nor_granted_quotas(make_world: MakeWorld, ann: Viewer) -> None:
    world = await make_world(videos=80)
    page = await world.feed.page(ann, count=20, cursor=None)
    await world.feed.record(ann, [report(item, 15) for item in page.videos])
    before = world.catalogue.columns
    await world.feed.close()
    again = await make_world(videos=80)
    after = again.catalogue.columns
    assert before.granted[:80].sum() > 0
    for name in ("granted", "seen_count", "quantile_sum", "popular"):
        np.testing.assert_array_equal(getattr(after, name)[:80], getattr(before, name)[:80])


async def test_a_burst_raises_one_alarm_and_orders_the_video_into_the_cache(make_world: MakeWorld) -> None:
    world = await make_world(videos=150)
    columns = world.catalogue.columns
    row = columns.row_of[120]  # published two hours ago
    good = Outcome(quantile=0.9, liking=1.0, dislike=0.0, finished=True, skipped=False)
    for number in range(60):
        columns.record(row, good, now_s=NOW_S - 120 + 2 * number, watched_before=9)
    pools = make_pools(columns, now_s=NOW_S, policy=PoolPolicy())
    watch = ViralWatch()
    alarms = watch.look(columns, suspects(columns, pools, now_s=NOW_S))
    assert [alarm.video_id for alarm in alarms] == [120]
    assert watch.look(columns, suspects(columns, pools, now_s=NOW_S)) == []
    assert watch.going == (120,)
    orders = warm_orders(world.catalogue, watch.going, region="us-east")
    assert orders[0].path == "/videos/us-east/120/r1/360p.mp4"
    assert orders[0].last_byte == 999_999


async def test_the_running_feed_raises_the_alarm_by_itself(make_world: MakeWorld) -> None:
    world = await make_world(videos=150, pools_s=0.05)
    columns = world.catalogue.columns
    good = Outcome(quantile=0.9, liking=1.0, dislike=0.0, finished=True, skipped=False)
    for _ in range(60):
        columns.record(columns.row_of[120], good, now_s=NOW_S, watched_before=9)
    async with asyncio.timeout(60):
        await world.delivery.ordered.wait()
    assert "/120/" in world.delivery.orders[0].path
    assert world.feed.viral == (120,)


async def test_what_goes_viral_elsewhere_is_ordered_once(make_world: MakeWorld) -> None:
    world = await make_world(videos=50)
    world.feed.viral_elsewhere([7, 999_999])
    world.feed.viral_elsewhere([7])
    assert [order.path for order in world.delivery.orders] == ["/videos/us-east/7/r1/360p.mp4"]


async def test_a_shadowed_arm_is_measured_and_serves_nobody(make_world: MakeWorld) -> None:
    experiment = Experiment(name="try", arms={"new": Arm(share=1.0, explore_every=0, shadow=True)})
    world = await make_world(videos=200, experiment=experiment)
    page = await world.feed.page(Viewer(id="d:1"), count=20, cursor=None)
    assert sum(item.why.source == "explore" for item in page.videos) == 2  # control's list
    token = read_token(page.videos[0].impression)
    assert token is not None
    assert token.arm == f"try={CONTROL}"
    ranking = world.feed.ranking
    assert ranking._shadowing is not None
    await ranking._shadowing
    compared = {
        sample.name: sample.value for metric in ranking._metrics.shadow_overlap.collect() for sample in metric.samples
    }
    assert compared["feed_shadow_overlap_ratio_count"] == 1
    assert compared["feed_shadow_overlap_ratio_sum"] > 0.5
