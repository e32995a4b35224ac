"""Moving logical shards between Postgres servers while the service runs.

    popreel shards move --family video --shards 0-15 --to pg2

One logical shard at a time (a 64th of the videos, a 32nd of the users):
1. watch events older than an hour are copied ahead, without any lock
2. the shard's advisory lock is taken: running writers finish, new ones wait (they do not fail)
3. its rows are copied in one snapshot and committed on the target
4. the move is recorded in the control database; the source is fenced; its jobs and journal rows go
5. the lock is held until every process has read the new map, then waiting writers follow the fence to the target
6. the source's rows are deleted
Why not logical replication: docs/decisions/0606-moving-shards.md. Stopped at any step, the command can be run again.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO

import asyncpg

from foundation.errors import BadInput, PopreelError
from foundation.stores.errors import ShardUnavailable
from foundation.stores.postgres import Connection, PoolLimits, Shards
from foundation.stores.shard_map import Family, format_ranges
from origin.settings import OriginSettings

MAP_REFRESH_S = 1.0
"""Every process reads the shard map this often (origin/background.py, origin/worker.py)."""

_LOCK = {Family.VIDEO: 7701, Family.USER: 7702}  # as in shard_enter()
TABLES = {
    # parents before children: foreign keys hold on the target at once
    Family.VIDEO: (
        "videos",
        "video_counters",
        "counter_journal",
        "uploads",
        "upload_parts",
        "engagements",
        "shares",
        "comments",
        "comment_likes",
        "video_hashtags",
        "video_search",
        "watch_events",
    ),
    Family.USER: (
        "users",
        "sessions",
        "refresh_tokens",
        "follows",
        "followers",
        "restrictions",
        "user_videos",
        "user_engagements",
        "notifications",
        "idempotency_keys",
        "erasures",
    ),
}
_GENERATED = {"counter_journal": ("id",)}  # numbered anew on the target
_SPOOL_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    shard: int
    rows: int


class ShardMover:
    """Uses connections of its own: copying takes longer than any statement of the service may."""

    def __init__(self, shards: Shards, *, settle_s: float = 2 * MAP_REFRESH_S) -> None:
        self._shards = shards
        self._settle_s = settle_s

    async def move(self, family: Family, shard: int, target: str) -> Moved:
        """Move one logical shard. Raises BadInput for an unknown server or a shard that is there already."""
        await self._shards.refresh_map()
        source = self._shards.map.server(family, shard)
        if target not in self._shards.servers:
            raise BadInput(f"no server {target!r} in the settings: {', '.join(self._shards.servers)}")
        if source == target:
            raise BadInput(f"{family} shard {shard} is on {target} already")
        async with self._connection(source) as old, self._connection(target) as new:
            await self._clear(new, family, shard)
            await self._make_partitions(old, new)
            if family is Family.VIDEO:
                await self._copy(old, new, "watch_events", shard, "received_at < now() - interval '1 hour'")
            await self._lock(old, family, shard)
            try:
                rows = await self._copy_all(old, new, family, shard)
                await self._cut_over(old, new, family, shard, target)
                await asyncio.sleep(self._settle_s)  # until every reader has the new map
            finally:
                await old.execute("select pg_advisory_unlock($1, $2)", _LOCK[family], shard)
            await self._clear(old, family, shard)
        return Moved(shard=shard, rows=rows)

    async def _lock(self, old: Connection, family: Family, shard: int) -> None:
        """Behind running writers; new ones queue behind us, so not for long at a time."""
        while True:
            try:
                async with old.transaction():
                    await old.execute("set local lock_timeout = '2s'")
                    await old.execute("select pg_advisory_lock($1, $2)", _LOCK[family], shard)
            except asyncpg.LockNotAvailableError:
                await asyncio.sleep(0.5)
            else:
                return

    async def _copy_all(self, old: Connection, new: Connection, family: Family, shard: int) -> int:
        async with old.transaction(isolation="repeatable_read", readonly=True), new.transaction():
            rows = 0
            for table in TABLES[family]:
                rows += await self._copy(old, new, table, shard, "true")
            condition = f"family = '{family}'"
            return rows + await self._copy(old, new, "jobs", shard, condition)

    async def _copy(self, old: Connection, new: Connection, table: str, shard: int, condition: str) -> int:
        """Rows of the shard that the target lacks, by way of a staging table (some were copied ahead)."""
        columns = await self._columns(old, table)
        names = ", ".join(f'"{column}"' for column in columns)
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
            await old.copy_from_query(
                f"select {names} from {table} where shard = {shard} and {condition}",  # noqa: S608
                output=spool,
                format="binary",
                timeout=None,
            )
            return await self._paste(new, table, columns, spool)

    async def _paste(self, new: Connection, table: str, columns: list[str], spool: IO[bytes]) -> int:
        spool.seek(0)
        names = ", ".join(f'"{column}"' for column in columns)
        async with new.transaction():
            await new.execute(
                f"create temporary table staging on commit drop as select {names} from {table} limit 0"  # noqa: S608
            )
            await new.copy_to_table("staging", source=spool, columns=columns, format="binary", timeout=None)
            status = await new.execute(
                f"insert into {table} ({names}) select {names} from staging on conflict do nothing",  # noqa: S608
                timeout=None,
            )
            await new.execute("drop table if exists staging")
        return int(status.rsplit(" ", 1)[-1])

    async def _columns(self, connection: Connection, table: str) -> list[str]:
        rows = await connection.fetch(
            """select column_name from information_schema.columns
               where table_schema = current_schema() and table_name = $1 order by ordinal_position""",
            table,
        )
        return [row["column_name"] for row in rows if row["column_name"] not in _GENERATED.get(table, ())]

    async def _make_partitions(self, old: Connection, new: Connection) -> None:
        """The days of watch events that exist at the source."""
        rows = await old.fetch(
            """select c.relname, pg_get_expr(c.relpartbound, c.oid) as bound
               from pg_inherits i join pg_class c on c.oid = i.inhrelid
               where i.inhparent = 'watch_events'::regclass"""
        )
        for row in rows:
            await new.execute(f"create table if not exists {row['relname']} partition of watch_events {row['bound']}")

    async def _cut_over(self, old: Connection, new: Connection, family: Family, shard: int, target: str) -> None:
        await new.execute("delete from shard_fences where family = $1 and shard = $2", str(family), shard)
        async with self._shards.control() as control:
            await control.execute(
                """insert into shard_moves (family, shard, server) values ($1, $2, $3)
                   on conflict (family, shard) do update set server = excluded.server, moved_at = now()""",
                str(family),
                shard,
                target,
            )
        async with old.transaction():
            await old.execute(
                """insert into shard_fences (family, shard, moved_to) values ($1, $2, $3)
                   on conflict (family, shard) do update set moved_to = excluded.moved_to, fenced_at = now()""",
                str(family),
                shard,
                target,
            )
            # their copies count from now on
            await old.execute("delete from jobs where family = $1 and shard = $2", str(family), shard)
            if family is Family.VIDEO:
                await old.execute("delete from counter_journal where shard = $1", shard)
        await self._shards.refresh_map()

    async def _clear(self, connection: Connection, family: Family, shard: int) -> None:
        """Remove the shard's rows: of an aborted move at the target, of a finished one at the source."""
        async with connection.transaction():
            for table in reversed(TABLES[family]):
                await connection.execute(f"delete from {table} where shard = $1", shard, timeout=None)  # noqa: S608
            await connection.execute("delete from jobs where family = $1 and shard = $2", str(family), shard)

    @asynccontextmanager
    async def _connection(self, name: str) -> AsyncIterator[Connection]:
        connection = await asyncpg.connect(str.__str__(self._shards.servers[name].dsn), timeout=10)
        try:
            yield connection
        finally:
            await connection.close()


async def keep_map_fresh(shards: Shards) -> None:
    """Task of every process: reads follow a move within MAP_REFRESH_S, writers at once by the fence."""
    while True:
        await asyncio.sleep(MAP_REFRESH_S)
        try:
            await shards.refresh_map()
        except PopreelError:
            continue  # the control server is away: the map we have stays


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerShards:
    """What one server holds of one family."""

    family: Family
    server: str
    shards: str
    """Ranges, "0-31,40"; empty: none."""
    rows: int | None
    """Videos or users there; None: the server does not answer."""
    replicas: int


async def overview(shards: Shards) -> tuple[ServerShards, ...]:
    """Where the logical shards are now, moves included. Raises ShardUnavailable without the control server."""
    await shards.refresh_map()
    return tuple([await _held(shards, family, name) for family in Family for name in shards.servers])


async def _held(shards: Shards, family: Family, name: str) -> ServerShards:
    held = shards.map.shards_on(family, name)
    try:
        async with shards.servers[name].primary() as connection:
            rows = await connection.fetchval(_COUNT[family], list(held))
    except ShardUnavailable:
        rows = None
    return ServerShards(
        family=family, server=name, shards=format_ranges(held), rows=rows, replicas=shards.servers[name].replicas
    )


_COUNT = {
    Family.VIDEO: "select count(*) from videos where shard = any($1)",
    Family.USER: "select count(*) from users where shard = any($1)",
}


@asynccontextmanager
async def open_shards(settings: OriginSettings) -> AsyncIterator[Shards]:
    """The servers of the settings, for an operator's command: few connections."""
    shards = Shards(settings.postgres, limits=PoolLimits(size=2))
    await shards.open()
    try:
        yield shards
    finally:
        await shards.close()
