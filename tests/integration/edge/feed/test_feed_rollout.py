"""A release reaches every PoP through the control plane, and what harms viewers at one PoP ends at all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from control_plane.rollout import to_stop, totals
from control_plane.service import compose
from control_plane.settings import ControlPlaneSettings
from edge.control.heartbeat import Heartbeat
from edge.feed.ports import Viewer
from edge.feed.rollout import HttpReleases, ModelRollout, arms_for_heartbeat
from edge.feed.settings import FeedSettings
from foundation.settings import Secret
from foundation.wire.events import WatchReport
from foundation.wire.models import CANDIDATE, ArmTally
from foundation.wire.pops import PopHeartbeat
from inference.errors import ModelDamaged
from inference.experiments import Arm, Experiment, RunningMean, joined
from inference.feed.model_archive import pack_release, unpack_release
from tests.http_client import Client, client_of

from .conftest import MakeWorld, World
from .test_feed_spaces import release, turned

OPERATOR = {"Authorization": "Bearer operator-key"}


@pytest.fixture
def fresh_dsn(postgres_database: Callable[[], str]) -> str:
    return postgres_database()


@pytest.fixture
async def centre(fresh_dsn: str) -> AsyncIterator[Client]:
    settings = ControlPlaneSettings(
        postgres_dsn=Secret(fresh_dsn),
        service_keys={"pop-a": Secret("key-a"), "pop-b": Secret("key-b")},
        operator_keys={"ana": Secret("operator-key")},
    )
    async with compose(settings) as app, client_of(app) as client:
        yield client


class Pop:
    """One PoP's feed with its line to the centre; a beat at a time."""

    def __init__(self, name: str, world: World, centre: Client, session: aiohttp.ClientSession, folder: Path) -> None:
        url, key = str(centre.make_url("")).rstrip("/"), Secret(f"key-{name[-1]}")
        self.name, self.world, self.folder = name, world, folder
        self.rollout = ModelRollout(
            world.feed.models,
            HttpReleases(session, base_url=url, service_key=key),
            settings=FeedSettings(),
            model_dir=folder,
        )
        self._heartbeat = Heartbeat(
            session=session,
            control_plane_url=url,
            service_key=key,
            every_s=1,
            observe=self._observe,
            told=self.rollout.told,
        )

    async def _observe(self) -> PopHeartbeat:
        arms = arms_for_heartbeat(self.world.feed.ranking.arms)
        return PopHeartbeat(pop_id=self.name, region="us-east", base_url="http://x", **arms)

    async def beat(self) -> None:
        await self._heartbeat._beat()
        await self.rollout.settled()

    async def watch(self, viewer: str, *, happy: bool) -> str:
        """One page, watched to the end or skipped; the arm it came of."""
        page = await self.world.feed.page(Viewer(id=viewer), count=10, cursor=None)
        reports = [
            WatchReport(
                video_id=item.id,
                watch_duration=20_000 if happy else 300,
                total_duration=20_000,
                impression=item.impression,
            )
            for item in page.videos
        ]
        await self.world.feed.record(Viewer(id=viewer), reports)
        return self.world.feed.ranking.arms.arm_of(viewer)


@pytest.fixture
async def pops(make_world: MakeWorld, centre: Client, tmp_path: Path) -> AsyncIterator[tuple[Pop, Pop]]:
    async with aiohttp.ClientSession() as session:
        made = []
        for name in ("pop-a", "pop-b"):
            folder = tmp_path / name
            world = await make_world(videos=300, model_dir=folder, memory_viewers=10_000)
            made.append(Pop(name, world, centre, session, folder))
        yield made[0], made[1]
        for pop in made:
            await pop.rollout.close()


async def ask(centre: Client, method: str, path: str, *, status: int = 200, **body: Any) -> Any:
    async with centre.request(method, f"/api/v1/{path}", headers=OPERATOR, **body) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)


async def publish(centre: Client, folder: Path, seed: int) -> str:
    name = release(folder, turned(f"r{seed}", seed=seed))
    view = await ask(centre, "PUT", f"models/{name}", data=pack_release(folder / name))
    assert view["sizeBytes"] > 100_000
    return name


async def test_a_candidate_is_fetched_served_to_its_share_and_promoted(
    centre: Client, pops: tuple[Pop, Pop], tmp_path: Path
) -> None:
    name = await publish(centre, tmp_path / "trainer", 1)
    await ask(centre, "PUT", "rollout", json={"candidate": name, "share": 0.5})
    arms = []
    for pop in pops:
        await pop.beat()
        assert (pop.folder / name / "model.json").is_file()
        arms.append([await pop.watch(f"d:{number}", happy=True) for number in range(8)])
    assert arms[0] == arms[1], "a viewer is in the same arm at every PoP"
    assert set(arms[0]) == {"control", CANDIDATE}
    for pop in pops:
        await pop.beat()
    view = await ask(centre, "GET", "rollout")
    tallies, effect = view["tallies"], view["effects"][f"{name}={CANDIDATE}"]
    assert effect["low"] < 0 < effect["high"], "all were happy: no difference to see"
    assert {label: tally["events"] for label, tally in tallies.items()} == {
        f"{name}={arm}": 20 * arms[0].count(arm) for arm in ("control", CANDIDATE)
    }
    await ask(centre, "PUT", "rollout", json={"serving": name})
    for pop in pops:
        await pop.beat()
        assert pop.world.feed.ranking.arms.control.name == name
        assert (await pop.world.feed._store.load("d:1")).taste.space == "r1"
    await ask(centre, "PUT", "rollout", json={})
    await pops[0].beat()
    assert pops[0].world.feed.ranking.arms.control.name.startswith("first-")


async def test_harm_that_only_all_pops_together_can_see_ends_the_rollout_everywhere(
    centre: Client, pops: tuple[Pop, Pop], tmp_path: Path
) -> None:
    name = await publish(centre, tmp_path / "trainer", 2)
    await ask(centre, "PUT", "rollout", json={"candidate": name, "share": 0.5})
    for pop in pops:
        await pop.beat()
    experiment = Experiment(name=name, arms={CANDIDATE: Arm(share=0.5, model=name)})
    for number in range(32):
        viewer = f"d:{number}"
        for pop in pops:
            await pop.watch(viewer, happy=experiment.assign(viewer) == "control")
    assert not any(pop.world.feed.ranking.arms.stopped for pop in pops), "each alone has seen too little"
    for pop in (*pops, *pops):
        await pop.beat()
    view = await ask(centre, "GET", "rollout")
    assert view["rollout"]["candidate"] == ""
    assert "rolled back" in view["reason"]
    assert "over all PoPs" in view["stopped"][f"{name}={CANDIDATE}"]
    for pop in pops:
        assert {await pop.watch(f"d:{number}", happy=True) for number in range(8)} == {"control"}


async def test_a_candidate_that_is_not_there_or_damaged_changes_nothing(
    centre: Client, pops: tuple[Pop, Pop], tmp_path: Path
) -> None:
    unknown = await ask(centre, "PUT", "rollout", status=404, json={"candidate": "model-nowhere", "share": 0.1})
    assert unknown["code"] == "unknown-release"
    await ask(centre, "PUT", "models/model-broken", data=b"not a zip")
    await ask(centre, "PUT", "models/..%2Fup", status=400, data=b"x")
    await ask(centre, "PUT", "models/UPPER", status=400, data=b"x")
    await ask(centre, "PUT", "rollout", json={"candidate": "model-broken", "share": 1.0})
    pop = pops[0]
    await pop.beat()
    assert await pop.watch("d:1", happy=True) == "control"
    assert not (pop.folder / "model-broken").exists()
    name = await publish(centre, tmp_path / "trainer", 3)
    await ask(centre, "PUT", "rollout", json={"candidate": name, "share": 1.0})
    await pop.beat()
    assert await pop.watch("d:1", happy=True) == CANDIDATE


def test_an_archive_holds_a_release_and_nothing_else(tmp_path: Path) -> None:
    name = release(tmp_path, turned("z", seed=9))
    packed = pack_release(tmp_path / name)
    assert packed == pack_release(tmp_path / name)
    unpack_release(packed, tmp_path / "other" / name)
    (tmp_path / name / "space.npz").write_bytes(b"changed")
    with pytest.raises(ModelDamaged, match="checksum"):
        unpack_release(pack_release(tmp_path / name), tmp_path / "third")
    assert not (tmp_path / "third").exists()
    assert not list(tmp_path.glob(".*.new"))


def test_sums_over_pops_are_those_of_all_events() -> None:
    rng = np.random.default_rng(1)
    values = rng.random(1000)
    whole, parts = RunningMean(), [RunningMean(), RunningMean(), RunningMean()]
    for number, value in enumerate(values.tolist()):
        whole.add(value)
        parts[number % 2].add(value)
    both = joined(parts)
    assert (both.count, both.mean) == (1000, pytest.approx(whole.mean))
    assert both.variance == pytest.approx(whole.variance)
    beats = [
        PopHeartbeat(
            pop_id=str(number),
            region="r",
            base_url="u",
            arms={"x=control": ArmTally(events=part.count, mean=part.mean, squares=part.squares)},
        )
        for number, part in enumerate(parts)
    ]
    assert totals(beats)["x=control"].events == 1000
    assert to_stop(beats) == {}
