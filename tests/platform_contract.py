"""What probes of the PoP, the control plane and the router have to know."""

from __future__ import annotations

import tomllib

from popreel.lab.throwaway import ThrowawayPlatform
from tests.schema_probe import Probe


def control_plane_probe(url: str, operator_key: str) -> Probe:
    """It changes what the control plane keeps: not for one that others use."""
    return Probe(
        url=url,
        bearers={"operator": operator_key},
        also_refused_with={"upload_release": ("400", "413")},  # what a zip holds, no schema says
    )


def pop_probe(platform: ThrowawayPlatform) -> Probe:
    """What it sends is for videos and viewers that do not exist."""
    return Probe(url=platform.pop_url, bearers={"user": platform.token("contract")})


def platform_probes(platform: ThrowawayPlatform) -> dict[str, Probe]:
    """By service name; for a platform of one's own."""
    keys = tomllib.loads(platform.folder.secrets.read_text("utf-8"))["keys"]
    return {
        "local-1": pop_probe(platform),
        "control-plane": control_plane_probe(platform.urls["control-plane"], keys["operator_key"]),
        "cdn-router": Probe(url=platform.urls["cdn-router"]),
    }
