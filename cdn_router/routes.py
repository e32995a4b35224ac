"""Routes of the router: steering manifests for players, the best base URL for apps."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from cdn_router.fleet_store import Fleet
from cdn_router.policy import Viewer, order
from cdn_router.steering import dash_manifest, hls_manifest
from foundation.errors import Unavailable
from foundation.http.endpoint import Call, endpoint
from foundation.wire import Wire

Region = Annotated[str, Meta(max_length=32, pattern=r"^[a-z0-9-]*$")]


class RouteQuery(Wire, frozen=True, kw_only=True):
    region: Region = ""
    tier: Annotated[str, Meta(max_length=32)] = ""


class RouteChoice(Wire, frozen=True, kw_only=True):
    id: str
    kind: str
    base_url: str
    healthy: bool


class RouteAnswer(Wire, frozen=True, kw_only=True):
    """Best first; an app uses the first and keeps the rest for failover."""

    choices: tuple[RouteChoice, ...]


class RouterRoutes:
    def __init__(self, fleet: Fleet, *, ttl_s: int) -> None:
        self._fleet = fleet
        self._ttl_s = ttl_s

    @endpoint("GET", "/api/v1/route", summary="Base URLs for a viewer, best first", query=RouteQuery, reply=RouteAnswer)
    async def route(self, call: Call[None]) -> RouteAnswer:
        pathways = order(self._fleet.pathways, _viewer(call))
        if not pathways:
            raise Unavailable("no PoP or CDN is known yet", retry_after_s=2)
        return RouteAnswer(
            choices=tuple(
                RouteChoice(id=p.id, kind=p.kind.value, base_url=p.base_url, healthy=p.healthy) for p in pathways
            )
        )

    @endpoint(
        "GET",
        "/steering/v1/manifest.json",
        summary="HLS content steering manifest",
        query=RouteQuery,
        reply=dict[str, Any],
    )
    async def hls_steering(self, call: Call[None]) -> web.Response:
        viewer = _viewer(call)
        return _manifest(hls_manifest(order(self._fleet.pathways, viewer), viewer, ttl_s=self._ttl_s))

    @endpoint(
        "GET",
        "/steering/v1/manifest.dash.json",
        summary="DASH content steering manifest",
        query=RouteQuery,
        reply=dict[str, Any],
    )
    async def dash_steering(self, call: Call[None]) -> web.Response:
        viewer = _viewer(call)
        return _manifest(dash_manifest(order(self._fleet.pathways, viewer), viewer, ttl_s=self._ttl_s))


def _viewer(call: Call[None]) -> Viewer:
    return Viewer(region=call.query.region, tier=call.query.tier)


def _manifest(document: dict[str, Any]) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(document),
        content_type="application/json",
        headers={"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"},
    )
