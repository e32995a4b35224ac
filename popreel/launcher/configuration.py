"""The settings file of each process of a one-machine installation. Pure; a knob is named as in its service's class.

What popreel.toml says under a service's section is laid over what stands here, and the environment over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from popreel.embedded.object_store import ObjectStoreAccess
from popreel.launcher.layout import DataFolder, PortPlan
from popreel.launcher.secrets import PlatformSecrets
from popreel.settings import PlatformSettings, PopSetting

Document = dict[str, dict[str, Any]]
HOST = "127.0.0.1"
CLI = "cli"
ORIGIN = "origin"
ROUTER = "cdn-router"
MEDIA_KEY_ID = "k1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Everything the documents are made of."""

    settings: PlatformSettings
    folder: DataFolder
    ports: PortPlan
    secrets: PlatformSecrets
    postgres_dsn: str = field(repr=False)
    valkey_url: str = field(repr=False)
    objects: ObjectStoreAccess
    pop_valkey_urls: Mapping[str, str] = field(repr=False)
    web_dir: Path
    model_dir: Path

    @property
    def origin_url(self) -> str:
        return f"http://{HOST}:{self.ports.origin}"

    @property
    def control_plane_url(self) -> str:
        return f"http://{HOST}:{self.ports.control_plane}"

    @property
    def router_url(self) -> str:
        return f"http://{HOST}:{self.ports.router}"

    def pop_url(self, pop: PopSetting) -> str:
        return f"http://{pop.host}:{self.ports.pop}"


def holders(settings: PlatformSettings) -> tuple[str, ...]:
    """Who has a service key."""
    return (ORIGIN, ROUTER, CLI, *(pop.pop_id for pop in settings.pops))


def origin_document(plan: Installation) -> Document:
    return {"origin": {"listen": f"{HOST}:{plan.ports.origin}", "node_id": 1, **_origin_common(plan)}}


def worker_document(plan: Installation, number: int) -> Document:
    """number: 0 for the first worker."""
    return {
        "origin": {
            "listen": f"{HOST}:{plan.ports.worker(number)}",
            "node_id": 2 + number,
            "scratch_dir": plan.folder.scratch / f"worker-{number + 1}",
            "model_dir": plan.model_dir,
            **_origin_common(plan),
        }
    }


def control_plane_document(plan: Installation) -> Document:
    return {
        "control_plane": {
            "listen": f"{HOST}:{plan.ports.control_plane}",
            "postgres_dsn": plan.postgres_dsn,
            "service_keys": plan.secrets.service_keys,
            "operator_keys": {"operator": plan.secrets.operator_key},
        }
    }


def router_document(plan: Installation) -> Document:
    return {
        "cdn_router": {
            "listen": f"{HOST}:{plan.ports.router}",
            "control_plane_url": plan.control_plane_url,
            "service_key": plan.secrets.service_keys[ROUTER],
        }
    }


def pop_document(plan: Installation, pop: PopSetting) -> Document:
    return {
        "edge": {
            "listen": f"{pop.host}:{plan.ports.pop}",
            "pop_id": pop.pop_id,
            "region": pop.region,
            "base_url": plan.pop_url(pop),
            "origin_url": plan.origin_url,
            "control_plane_url": plan.control_plane_url,
            "service_key": plan.secrets.service_keys[pop.pop_id],
            "valkey_url": plan.pop_valkey_urls[pop.pop_id],
            "data_dir": plan.folder.cache(pop.pop_id),
            "model_dir": plan.model_dir,
            "web_dir": plan.web_dir,
            "media_keys": {MEDIA_KEY_ID: plan.secrets.media_key},
        }
    }


def _origin_common(plan: Installation) -> dict[str, Any]:
    return {
        "postgres": [{"name": "pg1", "dsn": plan.postgres_dsn}],
        "valkey_url": plan.valkey_url,
        "objects": {
            "endpoint": plan.objects.endpoint,
            "access_key": plan.objects.access_key,
            "secret_key": plan.objects.secret_key,
            "bucket": plan.objects.bucket,
            "region": plan.objects.region,
        },
        "jwt_key_file": plan.folder.access_key,
        "service_keys": plan.secrets.service_keys,
        "operator_keys": {"operator": plan.secrets.operator_key},
        "media_keys": {MEDIA_KEY_ID: plan.secrets.media_key},
        "allow_internal_users": True,
        "control_plane_url": plan.control_plane_url,
        "control_plane_key": plan.secrets.service_keys[ORIGIN],
    }


def lay_over(document: Document, overrides: Mapping[str, Any]) -> Document:
    """`document` with the tables of popreel.toml that it has laid over its own, knob by knob."""
    return {section: {**table, **overrides.get(section, {})} for section, table in document.items()}
