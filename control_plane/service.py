"""Composition of the control plane: settings -> control database -> registry and purge log -> routes."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from control_plane.model_routes import ModelRoutes
from control_plane.model_store import ModelStore
from control_plane.pop_store import PopStore
from control_plane.purge_store import CHANNEL, PurgeStore
from control_plane.routes import PopRoutes, PurgeRoutes
from control_plane.settings import ControlPlaneSettings
from foundation.errors import Unavailable
from foundation.http.endpoint import mount
from foundation.http.guard import PublicKeys, TokenGuard
from foundation.http.server import new_app, run_service
from foundation.stores.listener import Listener
from foundation.stores.migrations import migrate, read_migrations
from foundation.stores.postgres import PoolLimits, Server
from foundation.stores.shard_map import PostgresServer
from foundation.tokens.access import Revoked

_log = logging.getLogger(__name__)
_MIGRATIONS = Path(__file__).parent / "sql" / "migrations"
_TRIM_EVERY_S = 3600


@asynccontextmanager
async def compose(settings: ControlPlaneSettings) -> AsyncIterator[web.Application]:
    await migrate(str.__str__(settings.postgres_dsn), read_migrations([_MIGRATIONS]))
    server = Server(
        PostgresServer(name="control", dsn=settings.postgres_dsn), PoolLimits(size=8), choose=random.randrange
    )
    await server.open()
    listener = Listener(settings.postgres_dsn, channels=(CHANNEL,))
    purges = PurgeStore(server, lost_after_s=settings.lost_after_s)
    try:
        async with asyncio.TaskGroup() as tasks:
            owned = [
                tasks.create_task(listener.run(), name="listener"),
                tasks.create_task(_trim(purges, days=settings.purge_days), name="purges.trim"),
            ]
            yield _app(settings, server, purges, listener)
            for task in owned:
                task.cancel()
    finally:
        await server.close()


def _app(settings: ControlPlaneSettings, server: Server, purges: PurgeStore, listener: Listener) -> web.Application:
    async def ready() -> None:
        async with server.primary() as connection:
            await connection.fetchval("select 1")

    app = new_app("control plane", ready=ready)
    guard = TokenGuard(
        keys=_no_keys,
        revoked=Revoked(clock_s=time.time),
        clock_s=time.time,
        service_keys=settings.service_keys,
        operator_keys=settings.operator_keys,
    )
    models = ModelStore(server)
    mount(app, PopRoutes(PopStore(server, lost_after_s=settings.lost_after_s), models), guard=guard)
    mount(app, ModelRoutes(models), guard=guard)
    mount(app, PurgeRoutes(purges, listener), guard=guard)
    return app


async def _no_keys(refresh: bool) -> PublicKeys:
    """Operators and services come with keys; no user signs in here."""
    return {}


async def _trim(purges: PurgeStore, *, days: int) -> None:
    while True:
        try:
            await purges.trim(days=days)
        except Unavailable as err:
            _log.warning("purge log not trimmed: %s", err, extra={"event": "purge_trim_failed"})
        await asyncio.sleep(_TRIM_EVERY_S)


if __name__ == "__main__":
    run_service("control_plane", ControlPlaneSettings, compose)
