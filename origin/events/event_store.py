"""Watch events into Postgres: de-duplicated, counted and attributed to hashtags in one statement per server.

An event is known by xxh3_128 of (viewer, video, event id), unique within its day's partition; the days before and after
are looked up too, so that a client's resend past midnight is not counted again. A batch that failed half-way (one
server away) is sent again whole by the PoP: what is there already is a duplicate.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import xxhash

from foundation.errors import BadInput
from foundation.ids import parse_id
from foundation.stores.postgres import Connection, Shards
from foundation.stores.shard_map import Family, shard_of
from foundation.wire.events import EventReceipt, WatchEvent

_INGEST = """
with e as (
    select distinct on (day, event_key) * from unnest($1::date[], $2::uuid[], $3::bigint[], $4::smallint[], $5::text[],
        $6::text[], $7::timestamptz[], $8::int[], $9::int[], $10::smallint[], $11::text[], $12::text[], $13::text[],
        $14::text[], $15::int[], $16::int[]) as t (day, event_key, video_id, shard, viewer, pop_id, received_at,
        watch_ms, total_ms, flags, source, device, session_id, impression, start_ms, rebuffers)),
fresh as (
    insert into watch_events select e.* from e
    where exists (select 1 from videos v where v.id = e.video_id and v.state <> 'deleted')
        and not exists (select 1 from watch_events w where w.day = e.day - 1 and w.event_key = e.event_key)
        and not exists (select 1 from watch_events w where w.day = e.day + 1 and w.event_key = e.event_key)
    on conflict do nothing
    returning video_id, shard, watch_ms, received_at),
counted as (
    insert into counter_journal (video_id, shard, views, watch_ms)
    select video_id, shard, count(*), sum(watch_ms) from fresh group by 1, 2),
tagged as (
    insert into hashtag_hours (tag, hour, views)
    select h.tag, date_trunc('hour', f.received_at), count(*)
    from fresh f join video_hashtags h on h.video_id = f.video_id group by 1, 2 order by 1, 2
    on conflict (hour, tag) do update set views = hashtag_hours.views + excluded.views)
select count(*) from fresh"""

_NO_PARTITION = "23514"  # check_violation: no partition of relation found for row


class EventStore:
    def __init__(self, shards: Shards, *, keep_days: int) -> None:
        self._shards = shards
        self._keep_days = keep_days

    async def ingest(self, events: Sequence[WatchEvent], *, today: dt.date) -> EventReceipt:
        """Store what is new. Raises BadInput (malformed ids), ShardUnavailable (send the batch again)."""
        rows = [row for row in map(_row, events) if self._in_time(row[0], today)]
        groups: dict[str, list[tuple[Any, ...]]] = {}
        for row in rows:
            groups.setdefault(self._shards.map.server(Family.VIDEO, row[3]), []).append(row)
        accepted = 0
        for server, group in groups.items():
            accepted += await self._store(server, group)
        return EventReceipt(accepted=accepted, duplicates=len(events) - accepted)

    def _in_time(self, day: dt.date, today: dt.date) -> bool:
        """Within retention and not from a clock that runs ahead: partitions are bounded."""
        return today - dt.timedelta(days=self._keep_days) < day <= today + dt.timedelta(days=1)

    async def _store(self, server: str, rows: list[tuple[Any, ...]]) -> int:
        columns = [list(column) for column in zip(*rows, strict=True)]
        try:
            return await self._insert(server, columns)
        except asyncpg.CheckViolationError as err:
            if err.sqlstate != _NO_PARTITION:
                raise
            for day in sorted(set(columns[0])):
                await self.make_partition(server, day)
            return await self._insert(server, columns)

    async def _insert(self, server: str, columns: list[list[Any]]) -> int:
        async with self._shards.write_many(Family.VIDEO, server, columns[3]) as connection:
            return int(await connection.fetchval(_INGEST, *columns))

    async def make_partition(self, server: str, day: dt.date) -> None:
        async with self._shards.servers[server].primary() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(7704)")  # two makers would deadlock on the parent
            await connection.execute(
                f"create table if not exists {_partition(day)} partition of watch_events"
                f" for values from ('{day}') to ('{day + dt.timedelta(days=1)}')"
            )

    async def maintain(self, *, today: dt.date) -> list[str]:
        """Make tomorrow's partitions ahead of time and drop those past retention; returns the dropped."""
        dropped = []
        for name, server in self._shards.servers.items():
            for ahead in range(3):
                await self.make_partition(name, today + dt.timedelta(days=ahead - 1))
            async with server.primary() as connection:
                dropped += await self._drop_old(connection, today)
        return dropped

    async def _drop_old(self, connection: Connection, today: dt.date) -> list[str]:
        rows = await connection.fetch(
            """select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
               where i.inhparent = 'watch_events'::regclass"""
        )
        oldest = _partition(today - dt.timedelta(days=self._keep_days))
        old = sorted(row["relname"] for row in rows if row["relname"] < oldest)
        for name in old:
            await connection.execute(f"drop table {name}")
        await connection.execute(
            "delete from hashtag_hours where hour < now() - make_interval(days => $1)", self._keep_days
        )
        return old


def _partition(day: dt.date) -> str:
    return f"watch_events_{day:%Y%m%d}"


def _row(event: WatchEvent) -> tuple[Any, ...]:
    """One row of the unnest. Raises BadInput for ids that are none."""
    report = event.report
    video_id = parse_id(report.video_id)
    try:
        received = dt.datetime.fromtimestamp(event.received_at_ms / 1000, tz=dt.UTC)
    except (OverflowError, ValueError, OSError) as err:
        raise BadInput(f"receivedAtMs {event.received_at_ms} is not a time") from err
    return (
        received.date(),
        UUID(bytes=xxhash.xxh3_128_digest(f"{event.viewer}\n{video_id}\n{event.event_id}")),
        video_id,
        shard_of(Family.VIDEO, video_id),
        _clean(event.viewer),
        _clean(event.pop_id),
        received,
        report.watch_duration,
        report.total_duration,
        report.liked
        | report.commented << 1
        | report.shared << 2
        | report.followed_creator << 3
        | report.not_interested << 4,
        report.source,
        report.device_type,
        _clean(report.session_id),
        _clean(report.impression),
        report.start_time_ms,
        report.rebuffers,
    )


def _clean(text: str | None) -> str:
    """Postgres text holds no NUL."""
    return (text or "").replace("\x00", "")[:512]
