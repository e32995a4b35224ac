"""Every document the launcher writes is one its service accepts."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import pytest

from cdn_router.settings import RouterSettings
from control_plane.settings import ControlPlaneSettings
from edge.settings import PopSettings
from foundation.settings import Settings, load
from origin.settings import OriginSettings
from popreel.embedded.object_store import ObjectStoreAccess
from popreel.launcher import configuration
from popreel.launcher.configuration import Document, Installation
from popreel.launcher.layout import DataFolder, PortPlan
from popreel.launcher.secrets import PlatformSecrets
from popreel.launcher.toml_text import render
from popreel.settings import PlatformSettings

S = TypeVar("S", bound=Settings)


@pytest.fixture
def plan(tmp_path: Path) -> Installation:
    settings = PlatformSettings()
    return Installation(
        settings=settings,
        folder=DataFolder(root=tmp_path / "data"),
        ports=PortPlan(base=9080),
        secrets=PlatformSecrets(
            media_key="m" * 32,
            operator_key="o" * 32,
            service_keys={holder: f"{holder}-key" for holder in configuration.holders(settings)},
        ),
        postgres_dsn="postgresql://u:p@127.0.0.1:9085/popreel",
        valkey_url="redis://:p@127.0.0.1:9086/0",
        objects=ObjectStoreAccess(endpoint="http://x", access_key="a", secret_key="s", region="r", bucket="b"),
        pop_valkey_urls={pop.pop_id: f"redis://:{pop.pop_id}@127.0.0.1:1/0" for pop in settings.pops},
        web_dir=tmp_path / "web",
        model_dir=tmp_path / "models",
    )


def _accepted(kind: type[S], document: Document, tmp_path: Path) -> S:
    file = tmp_path / "service.toml"
    file.write_text(render(document))
    return load(kind, file=file, environ={})


def test_services_accept_what_the_launcher_writes(plan: Installation, tmp_path: Path) -> None:
    local_2 = plan.settings.pops[1]
    assert _accepted(OriginSettings, configuration.origin_document(plan), tmp_path).listen == "127.0.0.1:9081"
    assert _accepted(OriginSettings, configuration.worker_document(plan, 0), tmp_path).listen == "127.0.0.1:9084"
    control_plane = _accepted(ControlPlaneSettings, configuration.control_plane_document(plan), tmp_path)
    assert control_plane.service_keys["local-2"] == "local-2-key"
    assert _accepted(RouterSettings, configuration.router_document(plan), tmp_path).listen == "127.0.0.1:9083"
    pop = _accepted(PopSettings, configuration.pop_document(plan, local_2), tmp_path)
    assert (pop.listen, pop.region, pop.service_key) == ("127.0.0.2:9080", "ap-tokyo", "local-2-key")


def test_every_process_makes_ids_of_its_own(plan: Installation) -> None:
    documents = [configuration.origin_document(plan), *(configuration.worker_document(plan, n) for n in range(3))]
    nodes = [document["origin"]["node_id"] for document in documents]
    assert len(set(nodes)) == len(nodes)


def test_popreel_toml_is_laid_over_what_the_launcher_writes() -> None:
    document = {"edge": {"listen": "a", "ram_bytes": 1}}
    assert configuration.lay_over(document, {"edge": {"ram_bytes": 2}, "origin": {"x": 1}}) == {
        "edge": {"listen": "a", "ram_bytes": 2}
    }
