"""A feed on a real Valkey over a made catalogue; time is a variable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from redis.asyncio import Redis

from edge.feed.history import ViewerHistory
from edge.feed.ports import NO_RELATIONS, PrefetchOrder, Relations, Viewer
from edge.feed.service import Feed
from edge.feed.settings import FeedSettings
from foundation.wire.catalogue import CatalogueChange, CatalogueItem
from inference.feed.columns import FeedColumns, NewVideo, tag_hash
from tests import catalogue_items

NOW_S = 1_790_000_000.0
_PATIENT: dict[str, object] = {"store_timeout_s": 5.0, "rank_timeout_s": 10.0}
"""A slow machine is no reason to fall back."""
TOPICS = 8


def make_item(
    video_id: int, *, creator: int, topic: int, vector: np.ndarray | None, age_s: float = 3600
) -> CatalogueItem:
    return catalogue_items.video(
        video_id,
        creator=catalogue_items.creator(creator),
        hashtags=(f"topic{topic}",),
        vector=vector,
        published_s=NOW_S - age_s,
    )


def topic_vectors(rng: np.random.Generator) -> np.ndarray:
    centres = rng.standard_normal((TOPICS, 256))
    return (centres / np.linalg.norm(centres, axis=1)[:, None]).astype(np.float32)


class MemoryCatalogue:
    """The catalogue port over a dictionary: what the replica is, without origin and journal."""

    def __init__(self) -> None:
        self.columns = FeedColumns(space="content-1")
        self._items: dict[int, CatalogueItem] = {}

    def put(self, item: CatalogueItem, vector: np.ndarray | None) -> None:
        self._items[int(item.id)] = item
        self.columns.put(
            NewVideo(
                video_id=int(item.id),
                creator_id=int(item.creator.id),
                published_s=item.published_at_ms / 1000,
                duration_s=item.manifest.duration_ms / 1000,
                hashtags=[tag_hash(tag) for tag in item.hashtags],
                vector=vector,
                public=item.visibility == "public",
            )
        )

    def drop(self, video_id: int) -> None:
        self.columns.remove(video_id)
        self._items.pop(video_id, None)

    def item(self, video_id: int) -> CatalogueItem | None:
        return self._items.get(video_id)

    def counters(self, video_id: int) -> CatalogueChange | None:
        return None


@dataclass
class RecordingDelivery:
    orders: list[PrefetchOrder] = field(default_factory=list)
    ordered: asyncio.Event = field(default_factory=asyncio.Event)

    def prefetch(self, orders: Sequence[PrefetchOrder]) -> None:
        self.orders.extend(orders)
        self.ordered.set()

    def is_cached(self, path: str, prefix_bytes: int) -> bool:
        return False


@dataclass
class FixedUsers:
    known: dict[str, Relations] = field(default_factory=dict)

    async def relations(self, user_id: str) -> Relations:
        return self.known.get(user_id, NO_RELATIONS)


@dataclass
class Clock:
    now_s: float = NOW_S

    def __call__(self) -> float:
        return self.now_s


@dataclass
class World:
    feed: Feed
    catalogue: MemoryCatalogue
    delivery: RecordingDelivery
    users: FixedUsers
    clock: Clock
    valkey: Redis
    vectors: np.ndarray

    def topic_of(self, video_id: int) -> int:
        return video_id % TOPICS


MakeWorld = Callable[..., Awaitable[World]]


def fill(catalogue: MemoryCatalogue, videos: int, *, seed: int = 1) -> np.ndarray:
    """Videos 1..n of topic id % TOPICS, one creator per three videos. Returns the topic centres."""
    rng = np.random.default_rng(seed)
    centres = topic_vectors(rng)
    for video_id in range(1, videos + 1):
        noisy = centres[video_id % TOPICS] + 0.04 * rng.standard_normal(256).astype(np.float32)
        vector = (noisy / np.linalg.norm(noisy)).astype(np.float32)
        item = make_item(
            video_id, creator=10_000 + video_id // 3, topic=video_id % TOPICS, vector=vector, age_s=60.0 * video_id
        )
        catalogue.put(item, vector)
    return centres


@pytest.fixture
def list_process_from() -> int:
    """More videos than any of these worlds has; modules that try a list process too say so."""
    return FeedSettings().list_process_from


@pytest.fixture
async def make_world(valkey_url: str, list_process_from: int) -> AsyncIterator[MakeWorld]:
    opened: list[World] = []

    async def make(
        *,
        videos: int = 400,
        url: str = valkey_url,
        history: ViewerHistory | None = None,
        model_dir: Path | None = None,
        **settings: object,
    ) -> World:
        valkey = Redis.from_url(url, socket_timeout=30)
        catalogue, delivery, users, clock = MemoryCatalogue(), RecordingDelivery(), FixedUsers(), Clock()
        vectors = fill(catalogue, videos)
        feed = await Feed.open(
            FeedSettings(**{"list_process_from": list_process_from, **_PATIENT, **settings}),  # type: ignore[arg-type]  # knobs by name
            valkey=valkey,
            catalogue=catalogue,
            delivery_port=delivery,
            clock=clock,
            rng=np.random.default_rng(7),
            user_context=users,
            region="us-east",
            pop_id="test-1",
            history=history,
            model_dir=model_dir,
        )
        world = World(feed, catalogue, delivery, users, clock, valkey, vectors)
        opened.append(world)
        return world

    yield make
    for world in opened:
        await world.feed.close()
        await world.valkey.aclose()


def creator_of(world: World, video_id: int) -> Viewer:
    """Who made a video, asking for something."""
    item = world.catalogue.item(video_id)
    assert item is not None
    return Viewer(id=f"u:{item.creator.id}", user_id=item.creator.id)


@pytest.fixture
def ann() -> Viewer:
    return Viewer(id="u:501", user_id="501", region="us-east")
