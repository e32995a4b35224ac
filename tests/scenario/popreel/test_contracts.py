"""The documents of the PoP and the router against the running platform, by Schemathesis."""

from __future__ import annotations

from pathlib import Path

import pytest

from popreel.lab.throwaway import ThrowawayPlatform
from tests.platform_contract import platform_probes
from tests.schema_probe import run_probe


@pytest.mark.timeout(600)
@pytest.mark.parametrize("service", ["local-1", "cdn-router"])
async def test_a_service_keeps_its_openapi_contract(platform: ThrowawayPlatform, service: str, tmp_path: Path) -> None:
    await run_probe(platform_probes(platform)[service], tmp_path)
