"""An origin for each module, on the session's servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from popreel.embedded.object_store import ObjectStoreAccess
from popreel.embedded.valkey import EmbeddedValkey
from tests.origin_harness import Origin, one_server, origin_settings, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def origin(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_dsn: str,
    _valkey: EmbeddedValkey,
    object_store: ObjectStoreAccess,
) -> AsyncIterator[Origin]:
    """One for the module: tests use people and videos of their own."""
    folder = tmp_path_factory.mktemp("origin")
    settings = origin_settings(folder, one_server(postgres_dsn), _valkey.endpoint, object_store)
    async with running(settings) as origin:
        yield origin


@pytest.fixture
def own_database(postgres_database: Callable[[], str]) -> str:
    """For a test with an origin of its own: the module's worker would take its jobs."""
    return postgres_database()
