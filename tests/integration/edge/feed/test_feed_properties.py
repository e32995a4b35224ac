"""Any interleaving of pages, repeats, watches, controls, deletions, blocks and uploads keeps the feed's promises."""

from __future__ import annotations

import random
from contextlib import nullcontext
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.feed.ports import Relations, Viewer
from foundation.wire.events import WatchReport
from foundation.wire.feed import FeedPage
from inference.feed.recommender import Pick

from .conftest import NOW_S, MakeWorld, World, make_item
from .test_feed_spaces import release, turned


@pytest.fixture(params=[20_000, 0], ids=["here", "process"])
def list_process_from(request: pytest.FixtureRequest) -> int:
    """Lists made on the event loop, and in a process of their own."""
    return int(request.param)


class Chain:
    """One viewer's session, played at random; `check` holds the promises."""

    def __init__(self, world: World, seed: int, other_model: str) -> None:
        self.world = world
        self.other_model = other_model
        self.rng = random.Random(seed)
        self.viewer = Viewer(id="u:501", user_id="501", region="us-east")
        self.cursors: list[str | None] = [None]
        self.pages: dict[str, list[int]] = {}
        self.handed: list[int] = []
        self.forbidden: set[int] = set()
        self.next_id = 1000

    async def step(self) -> None:
        action = self.rng.choices(
            [
                self.page,
                self.repeat,
                self.watch,
                self.delete,
                self.block,
                self.hide_tag,
                self.publish,
                self.nudge,
                self.shadow_ban,
                self.skip_everything,
                self.swap_model,
            ],
            weights=[6, 2, 5, 2, 1, 0.5, 2, 1, 0.5, 0.5, 0.5],
        )[0]
        await action()

    async def page(self) -> None:
        count = self.rng.randint(1, 15)
        before = len(self.available())
        page = await self.world.feed.page(self.viewer, count=count, cursor=self.cursors[-1])
        self.check(page)
        ids = [int(item.id) for item in page.videos]
        assert len(ids) == min(count, before), "the count is honoured while there are videos"
        assert not set(ids) & set(self.handed), "no repeats along the cursors"
        self.handed += ids
        self.cursors.append(page.next_cursor)

    async def repeat(self) -> None:
        """The newest cursor but one again: the same places (less what was deleted meanwhile), and more if more is
        asked."""
        if len(self.cursors) < 3:
            return
        start = len(self.handed) - self.rng.randint(1, min(5, max(len(self.handed), 1)))
        page = await self.world.feed.page(self.viewer, count=1, cursor=self.cursors[-2])
        ids = [int(item.id) for item in page.videos]
        assert set(ids) <= set(self.handed) | self.available(), start
        fresh = [v for v in ids if v not in self.handed]
        if fresh:  # the page before was empty, so this asked on
            self.handed += fresh
            self.cursors[-1] = page.next_cursor

    async def watch(self) -> None:
        if self.handed:
            chosen = self.rng.sample(self.handed, min(3, len(self.handed)))
            reports = [
                WatchReport(
                    video_id=str(v),
                    watch_duration=self.rng.choice([0, 300, 9000, 20_000, 60_000]),
                    total_duration=self.rng.choice([0, 20_000]),
                    liked=self.rng.random() < 0.2,
                    not_interested=self.rng.random() < 0.1,
                )
                for v in chosen
            ]
            await self.world.feed.record(self.viewer, reports)

    async def delete(self) -> None:
        video_id = self.rng.choice([*self.world.catalogue.columns.row_of])
        self.world.catalogue.drop(video_id)
        self.forbidden.add(video_id)

    async def shadow_ban(self) -> None:
        """The origin withdraws everything of a creator; what was published before the ban was known must go too."""
        creator = 10_000 + self.rng.randint(0, 40)
        columns = self.world.catalogue.columns
        for video_id in [v for v, row in columns.row_of.items() if columns.creator_id[row] == creator]:
            self.world.catalogue.drop(video_id)
            self.forbidden.add(video_id)

    async def skip_everything(self) -> None:
        """Fifty skips in a row."""
        if self.handed:
            reports = [
                WatchReport(video_id=str(v), watch_duration=200, total_duration=20_000)
                for v in self.rng.choices(self.handed, k=50)
            ]
            await self.world.feed.record(self.viewer, reports)

    async def swap_model(self) -> None:
        """To a model with a space of its own, or back."""
        await self.world.feed.models.serve(model=self.rng.choice(["", self.other_model]), experiment=None)

    async def block(self) -> None:
        creator = 10_000 + self.rng.randint(0, 40)
        known = self.world.users.known.get("501", Relations())
        self.world.users.known["501"] = Relations(blocked=known.blocked | {creator})

    async def hide_tag(self) -> None:
        await self.world.feed.hide_tag(self.viewer, f"topic{self.rng.randint(0, 7)}")

    async def publish(self) -> None:
        vector = np.random.default_rng(self.next_id).standard_normal(256).astype(np.float32)
        vector /= np.linalg.norm(vector)
        item = make_item(self.next_id, creator=20_000 + self.next_id, topic=self.next_id % 8, vector=vector, age_s=1)
        if self.rng.random() < 0.3:
            item = msgspec.structs.replace(item, visibility="followers")
        self.world.catalogue.put(item, vector if self.rng.random() < 0.8 else None)
        self.next_id += 1

    async def nudge(self) -> None:
        if self.handed:
            await self.world.feed.nudge(self.viewer, self.rng.choice(self.handed), self.rng.choice(["more", "less"]))  # type: ignore[arg-type]

    def available(self) -> set[int]:
        """What may still be handed out in this session."""
        columns = self.world.catalogue.columns
        hidden = {f"topic{n}" for n in range(8)} & self.hidden_tags()
        return {
            v
            for v, row in columns.row_of.items()
            if v not in self.handed
            and columns.public[row]
            and self.allowed(v)
            and f"topic{self.topic(v)}" not in hidden
        }

    def topic(self, video_id: int) -> int:
        item = self.world.catalogue.item(video_id)
        return int(item.hashtags[0].removeprefix("topic")) if item else -1

    def allowed(self, video_id: int) -> bool:
        item = self.world.catalogue.item(video_id)
        blocked = self.world.users.known.get("501", Relations()).blocked
        return item is not None and int(item.creator.id) not in blocked

    def hidden_tags(self) -> set[str]:
        memory = self.world.feed._store._memory.get("u:501")
        return set(memory.record.preferences.hidden_tags) if memory else set()

    def session_picks(self) -> tuple[Pick, ...]:
        memory = self.world.feed._store._memory.get("u:501")
        session = memory.record.session if memory else None
        return (*session.served, *session.tail) if session else ()

    def check(self, page: FeedPage) -> None:
        for item in page.videos:
            assert int(item.id) not in self.forbidden
            assert self.allowed(int(item.id))
            assert item.hashtags[0] not in self.hidden_tags()
            assert self.world.catalogue.columns.public[self.world.catalogue.columns.row_of[int(item.id)]]
            assert item.why.text
            assert item.impression
        columns = self.world.catalogue.columns
        assert np.isfinite(columns.vector[: columns.count]).all()
        assert all(np.isfinite(pick.score) for pick in self.session_picks())


@pytest.mark.parametrize("seed", range(6))
async def test_the_promises_hold_under_any_interleaving(make_world: MakeWorld, seed: int, tmp_path: Path) -> None:
    """Also in a crowd, where pages come in the order that stands."""
    world = await make_world(videos=110, rerank_events=3, model_dir=tmp_path, rank_timeout_s=10, pages_ranked=1)
    chain = Chain(world, seed, release(tmp_path, turned("other", seed=seed)))
    for number in range(60):
        world.clock.now_s = NOW_S + 1 + len(chain.handed)
        with world.feed._in_progress if number % 20 > seed else nullcontext():
            await chain.step()
    record = await world.feed._store.load("u:501")
    assert np.isfinite(record.taste.sums).all()
    assert len(chain.handed) > 30
