"""The OpenAPI document against the running origin, by a tool nobody here wrote: what it says is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.origin_contract import origin_probe
from tests.origin_harness import Origin
from tests.schema_probe import run_probe

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.timeout(600)  # about 4000 requests
async def test_the_origin_keeps_its_openapi_contract(origin: Origin, tmp_path: Path) -> None:
    await run_probe(await origin_probe(origin), tmp_path)
