"""The control plane's OpenAPI document against a control plane of its own: models are uploaded, wishes changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from control_plane.service import compose
from control_plane.settings import ControlPlaneSettings
from foundation.settings import Secret
from tests.platform_contract import control_plane_probe
from tests.schema_probe import run_probe


@pytest.fixture
def fresh_dsn(postgres_database: Callable[[], str]) -> str:
    return postgres_database()


@pytest.mark.timeout(600)
async def test_the_control_plane_keeps_its_openapi_contract(fresh_dsn: str, tmp_path: Path) -> None:
    settings = ControlPlaneSettings(postgres_dsn=Secret(fresh_dsn), operator_keys={"olga": Secret("operator-key")})
    async with compose(settings) as app, TestServer(app) as server:
        await run_probe(control_plane_probe(str(server.make_url("")).rstrip("/"), "operator-key"), tmp_path)
