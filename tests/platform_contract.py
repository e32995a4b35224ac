"""What probes of the PoP, the control plane and the router have to know."""

from __future__ import annotations

import tomllib

from popreel.lab.throwaway import ThrowawayPlatform
from tests.schema_probe import Probe


def platform_probes(platform: ThrowawayPlatform) -> dict[str, Probe]:
    """By service name. What they send is for videos, PoPs and viewers that do not exist."""
    keys = tomllib.loads(platform.folder.secrets.read_text("utf-8"))["keys"]
    return {
        "local-1": Probe(
            url=platform.pop_url,
            bearers={"user": platform.token("contract")},
            # a cursor is opaque, and which members an action needs depends on the action
            also_refused_with=dict.fromkeys(("feed", "following", "controls"), ("400",)),
        ),
        "control-plane": Probe(
            url=platform.urls["control-plane"],
            bearers={"operator": keys["operator_key"]},
            # at least one of three lists, and paths that begin with a slash
            also_refused_with={"operator_purge": ("400",)},
        ),
        "cdn-router": Probe(url=platform.urls["cdn-router"]),
    }
