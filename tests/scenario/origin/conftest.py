"""An origin whose API runs here; the processes a scenario kills are real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from origin.settings import OriginSettings
from popreel.embedded.object_store import ObjectStoreAccess
from tests.origin_harness import Origin, one_server, origin_settings, running


@pytest.fixture
def settings(tmp_path: Path, postgres_dsn: str, valkey_url: str, object_store: ObjectStoreAccess) -> OriginSettings:
    return origin_settings(
        tmp_path,
        one_server(postgres_dsn),
        valkey_url,
        object_store,
        lease_s=2.0,
        erase_settle_s=4.0,
        sweep_delay_s=0.1,
        job_tries=20,
    )


@pytest.fixture
async def origin(settings: OriginSettings) -> AsyncIterator[Origin]:
    async with running(settings, workers=0) as origin:
        yield origin
