"""Steering manifests (Apple HLS Content Steering 1.2b1; ETSI TS 103 998 for DASH) from an ordered list of pathways.

Clones carry our pathways into playlists that name only one: the player replaces the host. hls.js ignores a port in a
clone's HOST, so pathways must share a port (test PoPs stand on 127.0.0.1 and 127.0.0.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from cdn_router.policy import Pathway, Viewer

BASE_PATHWAY = "."
"""Pathway of variants that carry no PATHWAY-ID: the playlist's own host."""


def hls_manifest(pathways: Sequence[Pathway], viewer: Viewer, *, ttl_s: int) -> dict[str, Any]:
    """The document a player reloads every `ttl_s`. RELOAD-URI carries the viewer, so the server keeps no session."""
    clones = [
        {"BASE-ID": BASE_PATHWAY, "ID": pathway.id, "URI-REPLACEMENT": {"HOST": urlsplit(pathway.base_url).hostname}}
        for pathway in pathways
    ]
    return {
        "VERSION": 1,
        "TTL": ttl_s,
        "RELOAD-URI": _reload_uri("manifest.json", viewer),
        "PATHWAY-PRIORITY": [pathway.id for pathway in pathways] or [BASE_PATHWAY],
        "PATHWAY-CLONES": clones,
    }


def dash_manifest(pathways: Sequence[Pathway], viewer: Viewer, *, ttl_s: int) -> dict[str, Any]:
    """The DASH twin: service locations are the pathway ids."""
    return {
        "VERSION": 1,
        "TTL": ttl_s,
        "RELOAD-URI": _reload_uri("manifest.dash.json", viewer),
        "SERVICE-LOCATION-PRIORITY": [pathway.id for pathway in pathways],
    }


def _reload_uri(name: str, viewer: Viewer) -> str:
    query = urlencode({k: v for k, v in (("region", viewer.region), ("tier", viewer.tier)) if v})
    return f"{name}?{query}" if query else name
