"""Valkey killed: the feed degrades, never errors; watch events are refused clearly, and it recovers by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge.feed.ports import Viewer
from foundation.errors import Unavailable
from foundation.wire.events import WatchReport
from popreel.embedded.valkey import EmbeddedValkey

from .conftest import MakeWorld


async def test_pages_go_on_from_memory_and_the_store_catches_up(
    make_world: MakeWorld, ann: Viewer, valkey_server: Callable[[str], EmbeddedValkey]
) -> None:
    server = valkey_server("pop")
    await server.start()
    await server.ready()
    world = await make_world(videos=200, url=server.endpoint)
    first = await world.feed.page(ann, count=10, cursor=None)
    await server.stop()

    second = await world.feed.page(ann, count=10, cursor=first.next_cursor)
    third = await world.feed.page(ann, count=10, cursor=second.next_cursor)
    stranger = await world.feed.page(Viewer(id="d:new"), count=10, cursor=None)
    shown = [item.id for page in (first, second, third) for item in page.videos]
    assert len(shown) == len(set(shown)) == 30
    assert second.is_fallback
    assert len(stranger.videos) == 10
    with pytest.raises(Unavailable, match="again"):
        await world.feed.record(ann, [WatchReport(video_id="1", watch_duration=9000, total_duration=20_000)])

    await server.start()
    await server.ready()
    world.clock.now_s += 2  # past the breaker's pause
    fourth = await world.feed.page(ann, count=10, cursor=third.next_cursor)
    fifth = await world.feed.page(ann, count=10, cursor=fourth.next_cursor)
    shown += [item.id for page in (fourth, fifth) for item in page.videos]
    assert len(set(shown)) == 50
    assert not fifth.is_fallback
    await world.valkey.connection_pool.disconnect()  # the connections of before are dead
    assert await world.valkey.exists("feed:{u:501}:session")
