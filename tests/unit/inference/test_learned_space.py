"""A learned space: right gradients, structure found, new videos placed by content, damaged files refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inference.errors import ModelDamaged
from inference.feed.columns import FeedColumns, NewVideo
from inference.feed.outcome import Outcome
from inference.feed.space import LearnedSpace, pack, unpack
from inference.feed.space_columns import SpaceColumns
from inference.feed.taste import Taste, updated
from inference.training.paired import paired_over_events, paired_over_groups
from inference.training.two_tower import Histories, TowerPlan, _liked_shares, _Towers, _windows, train_space

GROUPS, VIDEOS = 4, 40
LIKED = Outcome(quantile=0.9, liking=1.0, dislike=0.0, finished=True, skipped=False)
PLAN = TowerPlan(epochs=6, hidden=16, seed=3)


def histories(viewers: int = 60, events: int = 30) -> Histories:
    """Each viewer likes the videos of one group (item % GROUPS) and skips others."""
    rng = np.random.default_rng(1)
    viewer = np.repeat(np.arange(viewers), events)
    own = rng.random(viewers * events) < 0.7
    item = np.where(
        own,
        viewer % GROUPS + GROUPS * rng.integers(VIDEOS // GROUPS, size=len(viewer)),
        rng.integers(VIDEOS, size=len(viewer)),
    )
    liked = item % GROUPS == viewer % GROUPS
    order = rng.permutation(len(viewer))
    return Histories(
        viewer=viewer[order],
        item=item[order],
        at_s=np.arange(len(viewer), dtype=np.float64),
        liking=liked[order].astype(np.float32),
        dislike=(~liked[order]).astype(np.float32),
    )


def content_of(items: np.ndarray) -> np.ndarray:
    """Groups look alike in pairs: content alone cannot tell group 0 from 2."""
    centres = np.random.default_rng(5).standard_normal((2, 256))
    noise = 0.5 * np.stack([np.random.default_rng(int(item)).standard_normal(256) for item in items])
    vectors = centres[items % 2] + noise
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def trained(seed: int = 3) -> LearnedSpace:
    return train_space(
        histories(),
        content=content_of(np.arange(VIDEOS)),
        has_content=np.arange(VIDEOS) != 7,
        start=np.zeros((VIDEOS, 256), np.float32),
        video_ids=100 + np.arange(VIDEOS, dtype=np.int64),
        plan=replace(PLAN, seed=seed),
        name="learned-test",
        content_space="content-1",
    )


@pytest.fixture(scope="module")
def space() -> LearnedSpace:
    return trained()


def test_gradients_are_those_of_the_loss() -> None:
    """Along random directions, against central differences; the generator is begun anew so that dropout is the same."""
    past = histories(viewers=6)
    rng = np.random.default_rng(2)
    own = (0.3 * rng.standard_normal((VIDEOS, 256))).astype(np.float32)
    towers = _Towers(content_of(np.arange(VIDEOS)), np.arange(VIDEOS) % 5 != 0, own, PLAN)
    for parameter in towers.parameters:  # zeros would hide mistakes behind them
        parameter += (0.05 * rng.standard_normal(parameter.shape)).astype(np.float32)
    batch, shares = list(_windows(past, PLAN)), _liked_shares(past, VIDEOS, PLAN)
    _, gradients = towers.gradients(batch, shares, np.random.default_rng(4))
    for parameter, gradient in zip(towers.parameters, gradients, strict=True):
        direction = gradient / max(float(np.linalg.norm(gradient)), 1e-12)
        step = np.float32(2e-2 if parameter.size > 10 else 1e-2)
        before = parameter.copy()
        parameter += step * direction
        above, _ = towers.gradients(batch, shares, np.random.default_rng(4))
        parameter[...] = before - step * direction
        below, _ = towers.gradients(batch, shares, np.random.default_rng(4))
        parameter[...] = before
        assert (above - below) / (2 * step) == pytest.approx(float((gradient * direction).sum()), rel=0.03, abs=2e-5)


def taste_for(space: LearnedSpace, group: int) -> Taste:
    taste = Taste(space=space.name)
    for number, item in enumerate(range(group, VIDEOS, 2 * GROUPS)):
        vector = space.vectors[np.searchsorted(space.video_ids, 100 + item)].astype(np.float32)
        taste = updated(taste, vector=vector, outcome=LIKED, video_id=100 + item, creator_id=1, now_s=1e9 + number)
    return taste


def test_the_search_vector_finds_what_is_liked_together_though_content_looks_the_same(space: LearnedSpace) -> None:
    for group in range(GROUPS):
        query = space.search_vector(taste_for(space, group))
        assert query is not None
        assert np.linalg.norm(query) == pytest.approx(1, abs=1e-3)
        best = space.video_ids[np.argsort(-(space.vectors.astype(np.float32) @ query))[:8]] - 100
        assert (best % GROUPS == group).mean() >= 0.75
    assert space.search_vector(Taste(space=space.name)) is None


def test_a_new_video_is_placed_by_its_content_and_not_at_all_without(space: LearnedSpace) -> None:
    new = np.array([900, 901, 902, 107], np.int64)
    vectors, known = space.place(new, content_of(new), np.array([True, True, False, False]))
    assert known.tolist() == [True, True, False, True]  # 107 has no content but was watched
    assert not vectors[2].any()
    assert np.linalg.norm(vectors[[0, 1, 3]], axis=1) == pytest.approx(1, abs=1e-2)
    same_look = space.vectors[np.arange(0, VIDEOS, 2)].astype(np.float32).mean(axis=0)
    other_look = space.vectors[np.arange(1, VIDEOS, 2)].astype(np.float32).mean(axis=0)
    assert vectors[0] @ same_look > vectors[0] @ other_look


def test_the_same_seed_gives_the_same_file_and_another_does_not(space: LearnedSpace) -> None:
    assert pack(trained()) == pack(space)
    assert pack(trained(seed=4)) != pack(space)


def test_a_packed_space_survives_and_a_damaged_one_is_refused(space: LearnedSpace) -> None:
    again = unpack(pack(space))
    assert (again.name, again.content) == ("learned-test", "content-1")
    assert np.array_equal(again.vectors, space.vectors)
    with pytest.raises(ModelDamaged, match="does not load"):
        unpack(b"no archive")
    with pytest.raises(ModelDamaged, match="another shape"):
        unpack(pack(replace(space, mix=space.mix[:3])))
    with pytest.raises(ModelDamaged, match="not finite"):
        unpack(pack(replace(space, mix=space.mix * np.float32(np.nan))))


def test_columns_seen_in_a_space_grow_with_the_catalogue_and_are_not_written(space: LearnedSpace) -> None:
    catalogue = FeedColumns(space="content-1", capacity=2)
    seen = SpaceColumns(catalogue, space)
    for video_id in (100, 950, 951):
        vector = None if video_id == 951 else content_of(np.array([video_id]))[0]
        catalogue.put(NewVideo(video_id=video_id, creator_id=1, published_s=0, duration_s=20, vector=vector))
        row = seen.row_of[video_id]
        assert seen.has_vector[row] == (video_id != 951)
        wanted, _ = space.place(
            np.array([video_id]), catalogue.vector[[row]].astype(np.float32), catalogue.has_vector[[row]]
        )
        assert np.array_equal(seen.vector[row], wanted[0].astype(np.float16))
    assert (seen.count, seen.live, seen.space) == (3, 3, "learned-test")
    assert len(seen.vector) == len(catalogue.vector)
    with pytest.raises(TypeError, match="catalogue"):
        seen.put(NewVideo(video_id=1, creator_id=1, published_s=0, duration_s=1))
    with pytest.raises(ModelDamaged, match="content-2"):
        SpaceColumns(FeedColumns(space="content-2"), space)


def test_intervals_of_paired_differences_know_viewers() -> None:
    rng = np.random.default_rng(1)
    viewers = np.repeat(np.arange(50), 20)
    per_viewer = rng.normal(0.1, 0.5, 50)[viewers]
    honest = paired_over_groups(per_viewer, viewers)
    assert honest.groups == 50
    assert honest.low < 0.1 < honest.high
    assert honest.high - honest.low > 0.2, "a thousand events of fifty viewers are fifty observations"
    assert paired_over_events(per_viewer, viewers).mean == pytest.approx(per_viewer.mean())
    assert paired_over_groups(np.zeros(0), np.zeros(0, np.int64)).groups == 0
