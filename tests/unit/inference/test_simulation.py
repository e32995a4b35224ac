"""The simulator: new videos get what they are promised, the log says what was granted, and the page shows the table."""

from __future__ import annotations

import math
from collections import Counter
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest

from inference.feed.model import FIRST_MODEL, Weights, load
from inference.feed.pools import PoolPolicy
from inference.feed.recommender import Pick
from inference.feed.sources import Source
from inference.feed.watch_quantile import default_quantiles
from inference.simulation.charts import Interval, as_html, chart, lines
from inference.simulation.policies import Ours
from inference.simulation.report import NUMBERS, ahead_of, cold_start, differences_as_text, intervals, weighed
from inference.simulation.run import AFTER, Figures, RunPlan, run
from inference.simulation.world import Reaction, World

PLAN = RunPlan(start_videos=400, uploads=6, most_pages=12, start_age_days=2.1, waves=3)


def test_every_new_video_gets_its_quota_or_is_dropped_for_cause_and_the_counts_equal_the_log() -> None:
    world = World(videos=406, viewers=120, seed=21, quantiles=default_quantiles())
    policy = Ours(load(FIRST_MODEL), viewers=120)
    granted: Counter[int] = Counter()
    watches: dict[int, list[float]] = {}

    def on_page(_viewer: int, picks: list[Pick], _now_s: float) -> None:
        granted.update(pick.video_id for pick in picks if pick.source is Source.EXPLORE)

    def on_watch(_viewer: int, pick: Pick, reaction: Reaction, _now_s: float) -> None:
        watches.setdefault(pick.video_id, []).append(world.quantile(pick.video_id - 1, reaction))

    figures = run(world, policy, plan=PLAN, seed=22, on_page=on_page, on_watch=on_watch)
    rules, columns = PoolPolicy(), policy.columns
    for video_id in range(PLAN.start_videos + 1, PLAN.start_videos + 1 + int(0.75 * PLAN.uploads)):
        row = columns.row_of[video_id]
        assert columns.granted[row] == granted[video_id] <= rules.exploration_quota
        assert columns.seen_count[row] == len(watches[video_id])
        means = np.cumsum(watches[video_id]) / np.arange(1, len(watches[video_id]) + 1)
        dropped = (means[rules.early_drop_after - 1 :] < rules.early_drop_below).any()
        assert granted[video_id] == rules.exploration_quota or dropped, video_id
    assert not any(granted[video_id] for video_id in range(1, PLAN.start_videos + 1)), "old videos are owed nothing"
    assert figures.fair_chance == 1.0


def figures_of(*, cold_start: float = 0.5, **changes: float) -> Figures:
    return Figures(**{**dict.fromkeys(NUMBERS, 0.5), **changes}, cold_start=(cold_start,) * len(AFTER))


def test_differences_are_paired_by_world() -> None:
    found = {
        "first version": [figures_of(depth=10), figures_of(depth=100)],
        "ours": [figures_of(depth=12), figures_of(depth=102)],
    }
    assert ahead_of(found, "first version")["depth"] == Interval(mean=2.0, half_width=0.0)
    assert intervals(found)["ours"]["depth"].half_width > 100
    assert "depth +2.000 ±0.000" in differences_as_text(found, "first version")


def test_the_cold_start_curve_has_an_interval_over_worlds() -> None:
    found = {"first version": [figures_of()], "ours": [figures_of(cold_start=0.4), figures_of(cold_start=0.6)]}
    assert list(cold_start(found)["ours"]) == [str(after) for after in AFTER]
    assert cold_start(found)["ours"]["10"].mean == 0.5
    assert cold_start(found)["ours"]["10"].half_width > 1


def test_a_weight_is_changed_by_name_and_kept_apart_from_the_shipped_one() -> None:
    ours = weighed(1, ["cold_quantile=0.5", "query=[1, 0, 0, 0, 0, 0]"])
    changed, shipped = ours["ours"](), ours["ours as shipped"]()
    assert isinstance(changed, Ours)
    assert isinstance(shipped, Ours)
    assert (changed.model.weights.cold_quantile, changed.model.weights.query[0]) == (0.5, 1.0)
    assert msgspec.structs.replace(changed.model.weights, cold_quantile=4.0, query=Weights().query) == Weights()
    assert shipped.model.weights == Weights()
    for refused in ("colour=1", "ranker=much", "ranker"):
        with pytest.raises(ValueError, match=refused.partition("=")[0]):
            weighed(1, [refused])


def test_the_page_is_whole_and_escapes_names() -> None:
    one = {"a & b": Interval(mean=-0.2, half_width=0.1), "ours": Interval(mean=0.4, half_width=math.inf)}
    curve = {name: {"0": value, "5": value} for name, value in one.items()}
    drawn_lines = ElementTree.fromstring(lines(curve))
    assert [len(group.findall("line")) for group in drawn_lines.findall("g")] == [2, 2]
    assert [group.find("polyline") is not None for group in drawn_lines.findall("g")] == [True, True]
    drawn = ElementTree.fromstring(chart(one))
    assert len(drawn.findall("circle")) == 2
    assert {text.text for text in drawn.findall("text")} == {"a & b", "ours", "-0.200 ± 0.100", "0.400"}
    page = as_html({name: {"depth": value} for name, value in one.items()}, curve)
    assert page.count("<svg") == 2
    assert "a &amp; b" in page
    flat = ElementTree.fromstring(chart({"ours": Interval(mean=0.0, half_width=0.0)}))
    assert flat.find("circle") is not None
