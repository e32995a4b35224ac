"""An edge on a real socket in front of a scripted origin, with a clock the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from edge.delivery.delivery import Delivery
from edge.delivery.lab.raw_client import Got, RawClient
from edge.delivery.lab.scripted_origin import ScriptedOrigin
from edge.delivery.lane.server import EdgeServer, serve_edge
from edge.delivery.settings import DeliverySettings

START_S = 1_790_000_000.0
SMALL_SLICES = {"prefix_bytes": 16_384, "slice_bytes": 65_536}


class Clock:
    """Unix seconds that move when told to."""

    def __init__(self) -> None:
        self.now_s = START_S

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass(slots=True)
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

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a state that shows itself within some turns of the loop."""
        for _ in range(200_000):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("the state did not come about")


OpenEdge = Callable[..., Awaitable[Edge]]


@asynccontextmanager
async def edges(origin: ScriptedOrigin, clock: Clock) -> AsyncIterator[OpenEdge]:
    """Gives `open(**knobs)`: an edge with small slices and the knobs asked for; all are closed at the end."""
    async with AsyncExitStack() as stack:

        async def open_one(*, slot: int = 0, **knobs: Any) -> Edge:
            settings = DeliverySettings(**{"origins": (origin.url,), **SMALL_SLICES, **knobs})
            delivery = await Delivery.open(settings, clock=clock, slot=slot)
            server = await serve_edge(delivery)
            stack.push_async_callback(delivery.close)
            stack.push_async_callback(server.close, drain_s=0.1)
            return Edge(delivery=delivery, server=server, origin=origin, clock=clock)

        yield open_one
