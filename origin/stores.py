"""The stores of one origin process, opened together and handed to everything that needs them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from redis.asyncio import Redis

from foundation.ids import Snowflake
from foundation.stores.listener import Listener
from foundation.stores.objects import ObjectStore, open_objects
from foundation.stores.outbox import CHANNEL as OUTBOX_CHANNEL
from foundation.stores.outbox import LOG_CHANNEL
from foundation.stores.postgres import PoolLimits, Shards
from foundation.stores.valkey import RateLimiter, open_valkey
from origin.settings import OriginSettings

VIDEO_CHANNEL = "popreel_video"
JOBS_CHANNEL = "popreel_jobs"
_DUTY_POOL = 10
_CHANNELS = (OUTBOX_CHANNEL, LOG_CHANNEL, VIDEO_CHANNEL, JOBS_CHANNEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Open stores. `listeners` by server name; their `run()` belongs to the composition's task group."""

    shards: Shards
    valkey: Redis
    limiter: RateLimiter
    objects: ObjectStore
    listeners: dict[str, Listener]
    ids: Snowflake
    clock_s: Callable[[], float]

    @property
    def control_listener(self) -> Listener:
        return self.listeners[self.shards.control_name]


@asynccontextmanager
async def own_pools(stores: Stores, settings: OriginSettings) -> AsyncIterator[Stores]:
    """The same stores with database pools of their own.

    Background duties hold one connection while they use another (a relay reads one server and writes the control
    database): in the pools of the API, a crowd of requests could take what they wait for.
    """
    shards = Shards(settings.postgres, limits=PoolLimits(size=_DUTY_POOL, statement_cache=settings.statement_cache))
    await shards.open()
    try:
        yield replace(stores, shards=shards)
    finally:
        await shards.close()


@asynccontextmanager
async def open_stores(settings: OriginSettings, *, clock_s: Callable[[], float] = time.time) -> AsyncIterator[Stores]:
    """Open everything; nothing needs to answer yet, except that shard moves are read when the control server is up."""
    async with AsyncExitStack() as stack:
        shards = Shards(
            settings.postgres,
            limits=PoolLimits(size=settings.pool_size, statement_cache=settings.statement_cache),
        )
        await shards.open()
        stack.push_async_callback(shards.close)
        valkey = await stack.enter_async_context(open_valkey(settings.valkey_url))
        objects = await stack.enter_async_context(open_objects(settings.objects))
        yield Stores(
            shards=shards,
            valkey=valkey,
            limiter=RateLimiter(valkey),
            objects=objects,
            listeners={server.name: Listener(server.dsn, channels=_CHANNELS) for server in settings.postgres},
            ids=Snowflake(node=settings.node_id),
            clock_s=clock_s,
        )
