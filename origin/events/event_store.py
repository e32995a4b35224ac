"""Watch events into Postgres: de-duplicated, counted and attributed to hashtags in one statement per server.

An event is known by xxh3_128 of (viewer, video, event id), unique within its day's partition; the days before and after
are looked up too, so that a client's resend past midnight is not counted again. While one server is away or a shard is
being moved, the events of the others are stored, and the receipt names those to send again; without such a receipt a
PoP sends the batch again whole: what is there already is a duplicate.
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
from foundation.stores.errors import ShardUnavailable
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

_Row = tuple[Any, ...]
"""As `_row` makes it: [0] day, [3] shard."""
_Placed = tuple[int, _Row]
"""With its position in the batch."""
_NO_PARTITION = "23514"  # check_violation: no partition of relation found for row


class EventStore:
    def __init__(self, shards: Shards, *, keep_days: int) -> None:
        self._shards = shards
        self._keep_days = keep_days

    async def ingest(self, events: Sequence[WatchEvent], *, today: dt.date, partly: bool = False) -> EventReceipt:
        """Store what is new. Raises BadInput (malformed ids), ShardUnavailable (send the batch again).

        `partly`: events whose shard is away or being moved are named in the receipt, the others are stored.
        """
        rows = enumerate(map(_row, events))
        waiting = [(position, row) for position, row in rows if self._in_time(row[0], today)]
        accepted = 0
        away: set[str] = set()
        for again in (True, False):
            stored, waiting = await self._offer(waiting, away)
            accepted += stored
            if not waiting:
                break
            if again:
                await self._shards.refresh_map()  # those that have moved are tried at their new place
        if waiting and (not partly or away.issuperset(self._shards.map.servers(Family.VIDEO))):
            raise ShardUnavailable("part of the database is away or being moved: send the batch again", retry_after_s=1)
        return EventReceipt(
            accepted=accepted,
            duplicates=len(events) - accepted - len(waiting),
            waiting=tuple(position for position, _ in waiting),
        )

    async def _offer(self, rows: list[_Placed], away: set[str]) -> tuple[int, list[_Placed]]:
        """Store what is open now: how many were new, and which must wait. Servers that fail are put into `away`."""
        groups: dict[str, list[_Placed]] = {}
        for placed in rows:
            groups.setdefault(self._shards.map.server(Family.VIDEO, placed[1][3]), []).append(placed)
        accepted, waiting = 0, list[_Placed]()
        for server, group in groups.items():
            try:
                stored, refused = await self._store(server, [row for _, row in group])
            except ShardUnavailable:
                away.add(server)
                waiting += group
            else:
                accepted += stored
                waiting += [placed for placed in group if placed[1][3] in refused]
        return accepted, waiting

    def _in_time(self, day: dt.date, today: dt.date) -> bool:
        """Within retention and not from a clock that runs ahead: partitions are bounded."""
        return today - dt.timedelta(days=self._keep_days) < day <= today + dt.timedelta(days=1)

    async def _store(self, server: str, rows: list[_Row]) -> tuple[int, frozenset[int]]:
        try:
            return await self._insert(server, rows)
        except asyncpg.CheckViolationError as err:
            if err.sqlstate != _NO_PARTITION:
                raise
            for day in sorted({row[0] for row in rows}):
                await self.make_partition(server, day)
            return await self._insert(server, rows)

    async def _insert(self, server: str, rows: list[_Row]) -> tuple[int, frozenset[int]]:
        """New rows, and the shards that could not be entered."""
        async with self._shards.write_open(Family.VIDEO, server, (row[3] for row in rows)) as (connection, refused):
            open_rows = [row for row in rows if row[3] not in refused]
            if not open_rows:
                return 0, refused
            columns = [list(column) for column in zip(*open_rows, strict=True)]
            return int(await connection.fetchval(_INGEST, *columns)), refused

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
