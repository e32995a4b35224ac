"""Transactional outbox: a record commits with the change it announces and reaches the log exactly once, in order.

`append` writes to the server of the change. One relay at a time (advisory lock in the control database) copies records
into `outbox_log`, which gives them one dense order over all servers; `(source, source_id)` makes a repeated copy a
no-op, then the originals are deleted. Projections run in the copying transaction (the catalogue log, revocations);
what may lag or lives elsewhere (Valkey streams, rows on other servers) follows `outbox_log` as a consumer with its own
position.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec

from foundation.errors import PopreelError
from foundation.stores.errors import ShardUnavailable
from foundation.stores.listener import Listener
from foundation.stores.postgres import Connection, Shards

_log = logging.getLogger(__name__)
CHANNEL = "popreel_outbox"
LOG_CHANNEL = "popreel_log"
RELAY_LOCK = 7703
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry of the log. `payload` is JSON text: a consumer decodes it to its own type."""

    seq: int
    topic: str
    key: str
    payload: str
    created_at: datetime


class Projection(Protocol):
    """Derived rows written in the transaction that logs the records."""

    async def apply(self, connection: Connection, records: Sequence[Record]) -> None: ...


async def append(connection: Connection, *, topic: str, key: str, payload: object) -> None:
    """Announce a change inside its transaction. Call it after the row that orders `key` is locked (updated)."""
    await connection.execute(
        "insert into outbox (topic, key, payload) values ($1, $2, $3)",
        topic,
        key,
        msgspec.json.encode(payload).decode(),
    )


async def next_seq(connection: Connection, name: str, *, count: int) -> int:
    """Reserve `count` numbers of the dense sequence `name`; returns the first. The row lock orders the writers."""
    last: int = await connection.fetchval(
        """insert into log_heads (name, seq) values ($1, $2)
           on conflict (name) do update set seq = log_heads.seq + excluded.seq returning seq""",
        name,
        count,
    )
    return last - count + 1


class Relay:
    """Moves every server's outbox into the log. Run it in every origin process: one at a time holds the lock."""

    def __init__(self, shards: Shards, *, projections: Sequence[Projection], retry_s: float = 1.0) -> None:
        self._shards = shards
        self._projections = tuple(projections)
        self._retry_s = retry_s

    async def run(self, listeners: Sequence[Listener]) -> None:
        """Relay for ever, woken by any server's outbox (and every `retry_s`)."""
        async with asyncio.TaskGroup() as tasks:
            wake = asyncio.Event()
            for listener in listeners:
                tasks.create_task(self._hear(listener, wake))
            while True:
                wake.clear()
                try:
                    while await self.relay_once():
                        pass
                except PopreelError as err:
                    _log.warning("relay paused", extra={"event": "relay_paused", "cause": err.detail})
                try:
                    async with asyncio.timeout(self._retry_s):
                        await wake.wait()
                except TimeoutError:
                    pass

    async def _hear(self, listener: Listener, wake: asyncio.Event) -> None:
        async with listener.watch(CHANNEL) as watch:
            while True:
                if await watch.changed(timeout_s=60):
                    wake.set()

    async def relay_once(self) -> int:
        """Move up to one batch of every reachable server; returns how many records moved, 0 when another relay runs."""
        moved = 0
        async with self._shards.control() as control:
            if not await control.fetchval("select pg_try_advisory_lock($1)", RELAY_LOCK):
                return 0
            try:
                for name in self._shards.servers:
                    try:
                        moved += await self._move(control, name)
                    except ShardUnavailable as err:
                        if name == self._shards.control_name:
                            raise
                        _log.warning("server skipped", extra={"event": "relay_skipped", "cause": err.detail})
            finally:
                if not control.is_closed():
                    await control.execute("select pg_advisory_unlock($1)", RELAY_LOCK)
        return moved

    async def _move(self, control: Connection, name: str) -> int:
        async with self._shards.servers[name].primary() as source:
            rows = await source.fetch(
                "select id, topic, key, payload, created_at from outbox order by id limit $1", _BATCH
            )
            if not rows:
                return 0
            async with control.transaction():
                await self._log(control, name, rows)
            await source.execute("delete from outbox where id = any($1)", [row["id"] for row in rows])
        return len(rows)

    async def _log(self, control: Connection, name: str, rows: Sequence[Any]) -> None:
        seen = await control.fetch(
            "select source_id from outbox_log where source = $1 and source_id = any($2)",
            name,
            [row["id"] for row in rows],
        )
        known = {row["source_id"] for row in seen}
        fresh = [row for row in rows if row["id"] not in known]
        if not fresh:
            return
        first = await next_seq(control, "outbox_log", count=len(fresh))
        records = [
            Record(seq=seq, topic=row["topic"], key=row["key"], payload=row["payload"], created_at=row["created_at"])
            for seq, row in enumerate(fresh, start=first)
        ]
        await control.executemany(
            """insert into outbox_log (seq, source, source_id, topic, key, payload, created_at)
               values ($1, $2, $3, $4, $5, $6, $7)""",
            [
                (record.seq, name, row["id"], record.topic, record.key, record.payload, record.created_at)
                for record, row in zip(records, fresh, strict=True)
            ],
        )
        for projection in self._projections:
            await projection.apply(control, records)
        await control.execute("select pg_notify($1, '')", LOG_CHANNEL)


class LogConsumer:
    """Follows the log with a position of its own: at least once, in order, so `handle` must be idempotent."""

    def __init__(
        self, shards: Shards, *, name: str, handle: Callable[[Sequence[Record]], Awaitable[None]], retry_s: float = 1.0
    ) -> None:
        self._shards = shards
        self._name = name
        self._handle = handle
        self._retry_s = retry_s

    async def run(self, listener: Listener) -> None:
        async with listener.watch(LOG_CHANNEL) as watch:
            while True:
                try:
                    while await self.consume_once():
                        pass
                except PopreelError as err:
                    _log.warning(
                        "consumer paused",
                        extra={"event": "consumer_paused", "consumer": self._name, "cause": err.detail},
                    )
                await watch.changed(timeout_s=self._retry_s)

    async def consume_once(self) -> int:
        """Handle one batch and move the position; 0 when there is nothing new or another process consumes."""
        async with self._shards.control() as control, control.transaction():
            await control.execute(
                "insert into log_positions (consumer, seq) values ($1, 0) on conflict do nothing", self._name
            )
            position = await control.fetchval(
                "select seq from log_positions where consumer = $1 for update skip locked", self._name
            )
            if position is None:
                return 0
            rows = await control.fetch(
                "select seq, topic, key, payload, created_at from outbox_log where seq > $1 order by seq limit $2",
                position,
                _BATCH,
            )
            if not rows:
                return 0
            await self._handle([Record(**dict(row)) for row in rows])
            await control.execute(
                "update log_positions set seq = $2, moved_at = now() where consumer = $1", self._name, rows[-1]["seq"]
            )
        return len(rows)


async def trim_log(connection: Connection, *, keep_s: float) -> None:
    """Drop log entries that every consumer has passed and that are older than `keep_s`."""
    await connection.execute(
        """delete from outbox_log where logged_at < now() - make_interval(secs => $1)
           and seq <= (select coalesce(min(seq), 0) from log_positions)""",
        keep_s,
    )
