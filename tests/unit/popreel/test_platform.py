"""Which processes there are, on which ports, for which settings. Building a platform starts nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from popreel.launcher.layout import PortPlan
from popreel.launcher.platform import Platform
from popreel.settings import PlatformSettings, platform_settings

SERVERS = {"postgres", "valkey", "object-store", "valkey-local-1", "valkey-local-2"}
SERVICES = {"origin", "control-plane", "cdn-router", "worker-1", "local-1", "local-2"}


def _platform(folder: Path, **environ: str) -> Platform:
    settings = platform_settings(file=None, environ={"POPREEL_DATA_DIR": str(folder / "data"), **environ})
    return Platform(settings, file=None)


def test_the_embedded_platform_is_the_one_of_the_architecture_page(tmp_path: Path) -> None:
    addresses = _platform(tmp_path).addresses
    assert addresses == {
        "local-1": "127.0.0.1:8080",
        "local-2": "127.0.0.2:8080",
        "origin": "127.0.0.1:8081",
        "control-plane": "127.0.0.1:8082",
        "cdn-router": "127.0.0.1:8083",
        "worker-1": "127.0.0.1:8084",
        "postgres": "127.0.0.1:8085",
        "valkey": "127.0.0.1:8086",
        "object-store": "127.0.0.1:8087",
        "valkey-local-1": "127.0.0.1:8088",
        "valkey-local-2": "127.0.0.1:8089",
    }
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("environ", "absent"),
    [
        ({"POPREEL_PLATFORM__POSTGRES_DSN": "postgresql://x/y"}, {"postgres"}),
        ({"POPREEL_PLATFORM__VALKEY_URL": "redis://x"}, {"valkey"}),
        (
            {
                "POPREEL_PLATFORM__S3_ENDPOINT": "https://s3",
                "POPREEL_PLATFORM__S3_ACCESS_KEY": "a",
                "POPREEL_PLATFORM__S3_SECRET_KEY": "s",
            },
            {"object-store"},
        ),
    ],
)
def test_a_server_of_ones_own_is_not_started(tmp_path: Path, environ: dict[str, str], absent: set[str]) -> None:
    assert set(_platform(tmp_path, **environ).addresses) == (SERVERS | SERVICES) - absent


def test_every_unit_is_started_in_exactly_one_stage_servers_first(tmp_path: Path) -> None:
    stages = [{unit.name for unit in stage.units} for stage in _platform(tmp_path).stages()]
    assert stages[0] == SERVERS
    assert sum(map(len, stages)) == len(SERVERS | SERVICES)
    assert set().union(*stages) == SERVERS | SERVICES


def test_more_workers_get_ports_of_their_own(tmp_path: Path) -> None:
    addresses = _platform(tmp_path, POPREEL_PLATFORM__WORKERS="4").addresses
    assert len(set(addresses.values())) == len(addresses) == 14
    workers = [int(addresses[f"worker-{number}"].rpartition(":")[2]) for number in (1, 2, 3, 4)]
    assert workers == [8084, 8094, 8095, 8096]
    assert set(workers) <= set(PortPlan(base=8080, workers=4).all)


def test_one_pop_is_enough(tmp_path: Path) -> None:
    pops = '[{"pop_id": "only", "region": "eu", "host": "127.0.0.3"}]'
    addresses = _platform(tmp_path, POPREEL_PLATFORM__POPS=pops).addresses
    assert addresses["only"] == "127.0.0.3:8080"
    assert "local-2" not in addresses


def test_the_blocks_of_two_installations_do_not_meet() -> None:
    assert not set(PortPlan(base=8080).all) & set(PortPlan(base=9080).all)
    assert max(PortPlan(base=55_000).all) <= 65_535


def test_no_secret_shows_in_the_settings(tmp_path: Path) -> None:
    settings = platform_settings(
        file=None, environ={"POPREEL_PLATFORM__POSTGRES_DSN": "postgresql://u:hunter2@x/y", "HOME": str(tmp_path)}
    )
    assert isinstance(settings, PlatformSettings)
    assert "hunter2" not in repr(settings)
