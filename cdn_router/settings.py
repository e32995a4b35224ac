"""Settings of the cdn_router service."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from foundation.settings import Secret, Settings


class CdnSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A commercial CDN in front of our origin."""

    id: str
    base_url: str
    serves: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    enabled: bool = True


class RouterSettings(Settings, frozen=True, kw_only=True):
    """Which PoP or CDN serves a viewer."""

    section: ClassVar[str] = "cdn_router"

    listen: Annotated[str, Meta(description="HOST:PORT to listen on.")] = "127.0.0.1:8083"
    control_plane_url: Annotated[str, Meta(description="Where the registry of PoPs is asked for.")] = (
        "http://127.0.0.1:8082"
    )
    service_key: Annotated[Secret, Meta(description="Our key for the control plane.")] = Secret("")
    ttl_s: Annotated[int, Meta(ge=5, le=3600, description="Seconds a player keeps a steering manifest.")] = 300
    poll_s: Annotated[float, Meta(ge=0.2, le=300, description="Seconds between looks at the registry.")] = 2.0
    cdns: Annotated[
        tuple[CdnSetting, ...],
        Meta(description="CDNs by preference: id, base_url, serves (us, eu, ap), tiers, enabled."),
    ] = ()
