"""Composition of the router service: settings -> fleet -> routes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from cdn_router.fleet_store import Fleet
from cdn_router.routes import RouterRoutes
from cdn_router.settings import RouterSettings
from foundation.errors import Unavailable
from foundation.http.endpoint import mount
from foundation.http.guard import PublicKeys, TokenGuard
from foundation.http.server import new_app, run_service
from foundation.tokens.access import Revoked


@asynccontextmanager
async def compose(settings: RouterSettings) -> AsyncIterator[web.Application]:
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        fleet = Fleet(settings, session)
        follower = tasks.create_task(fleet.follow(), name="fleet.follow")

        async def ready() -> None:
            if not (fleet.seen_registry or fleet.pathways):
                raise Unavailable("the registry of PoPs has not answered yet, and no CDN is configured")

        app = new_app("cdn router", ready=ready)
        guard = TokenGuard(keys=_no_keys, revoked=Revoked(clock_s=time.time), clock_s=time.time)
        mount(app, RouterRoutes(fleet, ttl_s=settings.ttl_s), guard=guard)
        yield app
        follower.cancel()


async def _no_keys(refresh: bool) -> PublicKeys:
    """Nothing here needs a signed-in user."""
    return {}


if __name__ == "__main__":
    run_service("cdn_router", RouterSettings, compose)
