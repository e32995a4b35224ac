"""Fixtures of the tests of delivery: an edge on a real socket before a scripted origin, with a clock the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from edge.delivery.lab.edge_under_test import Clock, Edge, OpenEdge, edges
from edge.delivery.lab.scripted_origin import ScriptedOrigin, scripted_origin


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of production: its transports and their buffers are part of what is tested."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def origin() -> AsyncIterator[ScriptedOrigin]:
    async with scripted_origin() as running:
        yield running


@pytest.fixture
async def open_edge(origin: ScriptedOrigin, clock: Clock) -> AsyncIterator[OpenEdge]:
    async with edges(origin, clock) as open_one:
        yield open_one


@pytest.fixture
async def edge(open_edge: OpenEdge) -> Edge:
    return await open_edge()


@pytest.fixture
async def disk_edge(open_edge: OpenEdge, tmp_path: Path) -> Edge:
    return await open_edge(cache_dir=tmp_path / "cache")
