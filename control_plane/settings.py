"""Settings of the control plane."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from foundation.settings import Secret, Settings


class ControlPlaneSettings(Settings, frozen=True, kw_only=True):
    """Registry of PoPs and purge log."""

    section: ClassVar[str] = "control_plane"

    listen: Annotated[str, Meta(description="HOST:PORT to listen on.")] = "127.0.0.1:8082"
    postgres_dsn: Annotated[Secret, Meta(description="The control database.")] = Secret(
        "postgresql://popreel@127.0.0.1:5432/popreel"
    )
    service_keys: Annotated[
        dict[str, Secret], Meta(description="Keys of services by name; a PoP's name is its pop_id.")
    ] = msgspec.field(default_factory=dict)
    operator_keys: Annotated[dict[str, Secret], Meta(description="Keys of operators by name.")] = msgspec.field(
        default_factory=dict
    )
    lost_after_s: Annotated[
        float, Meta(ge=1, le=3600, description="A PoP silent for this many seconds counts as lost.")
    ] = 10.0
    purge_days: Annotated[int, Meta(ge=1, le=365, description="Days a purge order is kept.")] = 30
