"""Outbox records -> catalogue log and revocations, in the transaction that logs the records: exactly once, in order."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from foundation.stores.outbox import Record, next_seq
from foundation.stores.postgres import Connection
from foundation.wire import Wire
from origin.accounts.session_store import SESSION_ENDED
from origin.lifecycle.announcements import CATALOGUE_COUNTERS, CATALOGUE_TOMBSTONE, CATALOGUE_UPSERT

CATALOGUE_HEAD = "catalogue"
REVOCATIONS_HEAD = "revocations"

_APPLY = {
    # an item that is not out has nothing to withdraw and no counters to tell: no row, no log entry
    CATALOGUE_TOMBSTONE: "delete from catalogue_items where video_id = $1 and $2::jsonb is not null returning video_id",
    CATALOGUE_COUNTERS: """update catalogue_items set item = jsonb_set(item, '{counters}', $2::jsonb)
        where video_id = $1 returning video_id""",
    CATALOGUE_UPSERT: """insert into catalogue_items (video_id, seq, item) values ($1, 0, $2::jsonb)
        on conflict (video_id) do update set item = excluded.item returning video_id""",
}
_KIND = {CATALOGUE_TOMBSTONE: "tombstone", CATALOGUE_COUNTERS: "counters", CATALOGUE_UPSERT: "upsert"}


class CatalogueProjection:
    """Implements `outbox.Projection`."""

    async def apply(self, connection: Connection, records: Sequence[Record]) -> None:
        changed = [
            record
            for record in records
            if record.topic in _APPLY
            and await connection.fetchval(_APPLY[record.topic], int(record.key), record.payload) is not None
        ]
        if not changed:
            return
        first = await next_seq(connection, CATALOGUE_HEAD, count=len(changed))
        rows = [
            (
                seq,
                _KIND[record.topic],
                int(record.key),
                None if record.topic == CATALOGUE_TOMBSTONE else record.payload,
            )
            for seq, record in enumerate(changed, start=first)
        ]
        await connection.executemany(
            "insert into catalogue_log (seq, kind, video_id, body) values ($1, $2, $3, $4)", rows
        )
        await connection.executemany(
            "update catalogue_items set seq = $1 where video_id = $2", [(row[0], row[2]) for row in rows]
        )


class SessionEnd(Wire, frozen=True, kw_only=True):
    """Payload of `session.ended`."""

    user_id: str
    session_id: str | None
    at_ms: int


class RevocationProjection:
    """Implements `outbox.Projection`."""

    async def apply(self, connection: Connection, records: Sequence[Record]) -> None:
        ends = [
            msgspec.json.decode(record.payload, type=SessionEnd) for record in records if record.topic == SESSION_ENDED
        ]
        if not ends:
            return
        first = await next_seq(connection, REVOCATIONS_HEAD, count=len(ends))
        await connection.executemany(
            "insert into revocations (seq, user_id, session_id, at_ms) values ($1, $2, $3, $4)",
            [
                (seq, int(end.user_id), int(end.session_id) if end.session_id is not None else None, end.at_ms)
                for seq, end in enumerate(ends, start=first)
            ],
        )
