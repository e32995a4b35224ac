"""A release with a vector space of its own: swapped with its model in one step, tastes follow, nobody notices."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from edge.feed.ports import Viewer
from foundation.wire.events import WatchReport
from inference.errors import ModelDamaged, ModelMissing
from inference.experiments import CONTROL, Arm, Experiment
from inference.feed.features import SCHEMA
from inference.feed.model import ModelFile, Weights, save
from inference.feed.space import COUNTS, Layers, LearnedSpace, pack
from inference.feed.taste import DIMENSIONS, SUMS

from .conftest import NOW_S, MakeWorld, World, make_item


@pytest.fixture(params=[20_000, 0], ids=["here", "process"])
def list_process_from(request: pytest.FixtureRequest) -> int:
    """Lists made on the event loop, and in a process of their own."""
    return int(request.param)


def turned(name: str, *, seed: int, content: str = "content-1") -> LearnedSpace:
    """The content space turned by a random rotation: cosines stay, vectors of two spaces have nothing in common."""
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((DIMENSIONS, DIMENSIONS)))[0].astype(np.float32)
    eye, none = np.eye(DIMENSIONS, dtype=np.float32), np.zeros(DIMENSIONS, np.float32)
    return LearnedSpace(
        name=name,
        content=content,
        video_ids=np.zeros(0, np.int64),
        vectors=np.zeros((0, DIMENSIONS), np.float16),
        tower=Layers(  # relu(x R) - relu(-x R) = x R
            first=np.concatenate([rotation, -rotation], axis=1),
            first_bias=np.zeros(2 * DIMENSIONS, np.float32),
            second=np.concatenate([eye, -eye]),
            second_bias=none,
        ),
        query=Layers(
            first=np.zeros((SUMS * DIMENSIONS + COUNTS, 1), np.float32),
            first_bias=np.zeros(1, np.float32),
            second=np.zeros((1, DIMENSIONS), np.float32),
            second_bias=none,
        ),
        mix=np.array([0.25, 0.35, 0.3, 0.1, 0, 0], np.float32),
    )


def release(folder: Path, space: LearnedSpace) -> str:
    weights = Weights(ranker=0.0, query_cosine=1.0)
    head = ModelFile(
        name=f"model-{space.name}", feature_schema=SCHEMA, weights=weights, trained_on="", worth="", seed=1
    )
    save(folder / head.name, head, {"space.npz": pack(space)})
    return head.name


async def teach(world: World, viewer: Viewer, topic: int) -> None:
    videos = [v for v in range(8, 120) if world.topic_of(v) == topic][:10]
    reports = [WatchReport(video_id=str(v), watch_duration=20_000, total_duration=20_000, liked=True) for v in videos]
    await world.feed.record(viewer, reports)


async def of_topic(world: World, viewer: Viewer, topic: int) -> int:
    page = await world.feed.page(viewer, count=10, cursor=None)
    return sum(world.topic_of(int(item.id)) == topic for item in page.videos)


async def test_tastes_and_new_videos_follow_into_the_space_of_a_new_model(
    make_world: MakeWorld, ann: Viewer, tmp_path: Path
) -> None:
    world = await make_world(model_dir=tmp_path, explore_every=0)
    bob = Viewer(id="d:bob")
    for viewer in (ann, bob):
        await teach(world, viewer, 3)
    await world.feed.models.serve(model=release(tmp_path, turned("a", seed=1)), experiment=None)
    assert await of_topic(world, ann, 3) >= 7
    await world.feed.models.serve(model=release(tmp_path, turned("b", seed=2)), experiment=None)
    world.catalogue.put(make_item(5003, creator=9, topic=3, vector=world.vectors[3]), world.vectors[3])
    assert await of_topic(world, bob, 3) >= 7
    record = await world.feed._store.load(ann.id)
    assert record.taste.space == "b"
    row = world.catalogue.columns.row_of[5003]
    assert world.feed._watching._vector("b", row) is not None  # placed by the content tower
    await world.feed.models.serve(model="", experiment=None)
    assert (await world.feed._store.load(ann.id)).taste.space == "content-1"
    assert world.feed._watching._vector("b", row) is None, "spaces nobody uses are forgotten"


async def test_a_canary_may_live_in_another_space(make_world: MakeWorld, tmp_path: Path) -> None:
    world = await make_world(model_dir=tmp_path, explore_every=0)
    name = release(tmp_path, turned("c", seed=3))
    experiment = Experiment(name="canary", arms={"new": Arm(share=0.5, model=name)})
    await world.feed.models.serve(model="", experiment=experiment)
    spaces = set()
    for number in range(8):
        viewer = Viewer(id=f"d:{number}")
        await teach(world, viewer, number)
        assert await of_topic(world, viewer, number) >= 3
        spaces.add((experiment.assign(viewer.id), (await world.feed._store.load(viewer.id)).taste.space))
    assert spaces == {("control", "content-1"), ("new", "c")}
    world.feed.ranking.arms.stop("new", "a test")
    assert {(await world.feed._store.load(f"d:{n}")).taste.space for n in range(8)} == {"content-1"}


async def test_swaps_under_load_cost_no_page_and_mix_no_spaces(make_world: MakeWorld, tmp_path: Path) -> None:
    world = await make_world(model_dir=tmp_path, rank_timeout_s=10)
    names = ["", release(tmp_path, turned("d", seed=4)), release(tmp_path, turned("e", seed=5))]
    viewers = [Viewer(id=f"d:{number}") for number in range(4)]

    async def watch(viewer: Viewer, topic: int) -> None:
        cursor, shown = None, list[str]()
        for _ in range(12):
            page = await world.feed.page(viewer, count=5, cursor=cursor)
            assert len(page.videos) == 5
            assert not page.is_fallback
            cursor, shown = page.next_cursor, shown + [item.id for item in page.videos]
            liked = [item.id for item in page.videos if world.topic_of(int(item.id)) == topic]
            reports = [WatchReport(video_id=v, watch_duration=20_000, total_duration=20_000) for v in liked]
            if reports:
                await world.feed.record(viewer, reports)
        assert len(set(shown)) == 60

    async def swap() -> None:
        for number in range(8):
            await world.feed.models.serve(model=names[number % 3], experiment=None)

    await asyncio.gather(swap(), *(watch(viewer, number) for number, viewer in enumerate(viewers)))
    for viewer in viewers:
        record = await world.feed._store.load(viewer.id)
        assert record.taste.space == world.feed.ranking.arms.space(CONTROL)
        assert np.isfinite(record.taste.sums).all()


async def test_a_model_that_does_not_fit_changes_nothing(make_world: MakeWorld, ann: Viewer, tmp_path: Path) -> None:
    world = await make_world(model_dir=tmp_path)
    before = world.feed.ranking.arms.table
    with pytest.raises(ModelMissing):
        await world.feed.models.serve(model="model-absent", experiment=None)
    foreign = release(tmp_path, turned("f", seed=6, content="content-9"))
    with pytest.raises(ModelDamaged, match="content-9"):
        await world.feed.models.serve(model=foreign, experiment=None)
    (tmp_path / foreign / "space.npz").write_bytes(b"PK broken")
    with pytest.raises(ModelDamaged, match="checksum"):
        await world.feed.models.serve(model=foreign, experiment=None)
    assert world.feed.ranking.arms.table is before
    world.clock.now_s = NOW_S + 1
    assert len((await world.feed.page(ann, count=10, cursor=None)).videos) == 10
