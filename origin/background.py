"""What an origin process does besides answering: relay, consumers, counter flusher, collectors; tasks are owned here.

Each of them may run in any number of processes: locks, positions and SKIP LOCKED in Postgres make them share the work.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp

from foundation.ids import UserId
from foundation.stores.outbox import LOG_CHANNEL, LogConsumer, Relay, trim_log
from foundation.stores.postgres import Shards
from foundation.tasks import end_tasks, until_done
from foundation.tokens.access import Revoked
from origin.accounts.account_store import AccountStore
from origin.accounts.bot_job import BotJob
from origin.audit import AuditProjection
from origin.catalogue.creators import Creators
from origin.catalogue.projection import CatalogueProjection, RevocationProjection
from origin.catalogue.routes import revocations_after
from origin.consumers import Purger, Streams
from origin.copies import Copies
from origin.engagement.counters import CounterFlusher
from origin.events.event_store import EventStore
from origin.search.video_index import SearchUpkeep
from origin.settings import OriginSettings
from origin.shards import keep_map_fresh
from origin.stores import Stores, own_pools
from origin.uploads.collect import UploadCollector

_HOUR_S = 3600.0


@asynccontextmanager
async def background(stores: Stores, settings: OriginSettings, *, revoked: Revoked) -> AsyncIterator[None]:
    """Run everything while inside; a task that fails unexpectedly is logged and started again, the API goes on."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        own_pools(stores, settings) as own,
    ):
        tasks = [
            asyncio.create_task(until_done(name, run))
            for name, run in _duties(stores.shards, own, settings, session, revoked)
        ]
        try:
            yield
        finally:
            await end_tasks(tasks)


def _duties(
    api_shards: Shards, stores: Stores, settings: OriginSettings, session: aiohttp.ClientSession, revoked: Revoked
) -> list[tuple[str, Callable[[], Awaitable[object]]]]:
    shards, control = stores.shards, stores.control_listener
    relay = Relay(shards, projections=(CatalogueProjection(), RevocationProjection(), AuditProjection()))
    purger = Purger(session, url=settings.control_plane_url, key=settings.control_plane_key)
    copies = LogConsumer(shards, name="copies", handle=Copies(shards).handle)
    creators = LogConsumer(shards, name="creators", handle=Creators(shards, AccountStore(shards)).handle)
    purges = LogConsumer(shards, name="purges", handle=purger.handle)
    streams = LogConsumer(shards, name="streams", handle=Streams(stores.valkey).handle)
    flusher = CounterFlusher(shards, interval_s=settings.flush_interval_s)
    bots = BotJob(shards, every_s=settings.bot_score_every_s, clock_s=stores.clock_s)
    collector = UploadCollector(shards, objects=stores.objects)
    return [
        *((f"listen {name}", listener.run) for name, listener in stores.listeners.items()),
        ("shard map", lambda: keep_map_fresh(api_shards)),
        ("own shard map", lambda: keep_map_fresh(shards)),
        ("relay", lambda: relay.run(list(stores.listeners.values()))),
        ("copies", lambda: copies.run(control)),
        ("creators", lambda: creators.run(control)),
        ("purges", lambda: purges.run(control)),
        ("streams", lambda: streams.run(control)),
        ("counters", flusher.run),
        ("revocations", lambda: follow_revocations(stores, revoked)),
        ("uploads", lambda: collector.run(every_s=60)),
        ("search words", lambda: _fold_words(shards, every_s=settings.flush_interval_s)),
        ("search rows", SearchUpkeep(shards).fill),
        ("bot scores", bots.run),
        ("partitions", lambda: _maintain(stores, settings)),
    ]


async def follow_revocations(stores: Stores, revoked: Revoked) -> None:
    """Keep this process's own `Revoked` in step; entries too old to matter are dropped by `Revoked` itself."""
    after = 0
    async with stores.control_listener.watch(LOG_CHANNEL) as watch:
        while True:
            found = await revocations_after(stores.shards, after, limit=1000)
            for entry in found.revocations:
                revoked.add(user_id=UserId(int(entry.user_id)), session_id=entry.session_id, at_s=entry.at_ms / 1000)
                after = entry.seq
            if not found.revocations:
                await watch.changed(timeout_s=5)


async def _fold_words(shards: Shards, *, every_s: float) -> None:
    upkeep = SearchUpkeep(shards)
    while True:
        await upkeep.fold_words()
        await asyncio.sleep(every_s)


async def _maintain(stores: Stores, settings: OriginSettings) -> None:
    """Hourly: partitions of watch events ahead and behind, logs trimmed, old refresh tokens dropped."""
    events = EventStore(stores.shards, keep_days=settings.event_days)
    while True:
        await events.maintain(today=dt.datetime.fromtimestamp(stores.clock_s(), tz=dt.UTC).date())
        async with stores.shards.control() as connection:
            await trim_log(connection, keep_s=settings.catalogue_keep_s)
            for table in ("catalogue_log", "revocations"):
                await connection.execute(_TRIM[table], settings.catalogue_keep_s)
        for server in stores.shards.servers.values():
            async with server.primary() as connection:
                await connection.execute("delete from refresh_tokens where expires_at < now()")
                await connection.execute("delete from idempotency_keys where created_at < now() - interval '7 days'")
                await connection.execute(
                    "delete from jobs where state = 'failed' and updated_at < now() - interval '90 days'"
                )
        await asyncio.sleep(_HOUR_S)


_TRIM = {
    # the newest entry always stays: it carries the head of the log
    "catalogue_log": """delete from catalogue_log where logged_at < now() - make_interval(secs => $1)
        and seq < (select max(seq) from catalogue_log)""",
    # a token lives 15 minutes; a day is plenty
    "revocations": "delete from revocations where at_ms < (extract(epoch from now()) - least($1, 86400)) * 1000",
}
