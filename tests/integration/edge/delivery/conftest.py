"""An edge on a real socket in front of a scripted origin, with a clock the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge.delivery.delivery import Delivery
from edge.delivery.lab.raw_client import Got, RawClient
from edge.delivery.lab.scripted_origin import ScriptedOrigin, scripted_origin
from edge.delivery.lane.server import EdgeServer, serve_edge
from edge.delivery.settings import DeliverySettings

START_S = 1_790_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now_s = START_S

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass
class Edge:
    delivery: Delivery
    server: EdgeServer
    origin: ScriptedOrigin
    clock: Clock

    def client(self) -> RawClient:
        return RawClient(self.server.port)

    async def get(self, target: str, **options: Any) -> Got:
        """One request on a connection of its own."""
        async with self.client() as client:
            return await client.get(target, **options)


OpenEdge = Callable[..., Awaitable[Edge]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def origin() -> AsyncIterator[ScriptedOrigin]:
    async with scripted_origin() as running:
        yield running


@pytest.fixture
async def open_edge(origin: ScriptedOrigin, clock: Clock) -> AsyncIterator[OpenEdge]:
    """Opens edges with settings of the test's choice; all are closed at its end."""
    async with AsyncExitStack() as stack:

        async def open_one(**knobs: Any) -> Edge:
            settings = DeliverySettings(
                **{"origins": (origin.url,), "prefix_bytes": 16384, "slice_bytes": 65536, **knobs}
            )
            delivery = await Delivery.open(settings, clock=clock)
            server = await serve_edge(delivery)
            stack.push_async_callback(delivery.close)
            stack.push_async_callback(server.close, drain_s=0.1)
            return Edge(delivery=delivery, server=server, origin=origin, clock=clock)

        yield open_one


@pytest.fixture
async def edge(open_edge: OpenEdge) -> Edge:
    return await open_edge()


@pytest.fixture
async def disk_edge(open_edge: OpenEdge, tmp_path: Path) -> Edge:
    return await open_edge(cache_dir=tmp_path / "cache")
