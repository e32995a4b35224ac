"""The registry of PoPs in Postgres."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from control_plane.errors import PopAlive, UnknownPop
from foundation.stores.postgres import Server, affected
from foundation.wire.pops import PopDirective, PopHeartbeat, PopView

_REPORT = """
insert into pops (pop_id, region, base_url, heartbeat) values ($1, $2, $3, $4)
on conflict (pop_id) do update
set region = excluded.region, base_url = excluded.base_url, heartbeat = excluded.heartbeat, last_seen = now()
returning wanted_state, (select coalesce(max(seq), 0) from purge_orders) as purge_head,
    array(select distinct jsonb_array_elements_text(coalesce(other.heartbeat->'viral', '[]')) from pops other
        where other.pop_id <> $1 and other.last_seen > now() - interval '1 minute' limit 200) as viral"""
_LIST = """
select pop_id, region, base_url, wanted_state, heartbeat, last_seen,
       last_seen < now() - make_interval(secs => $1) as lost
from pops order by pop_id"""
_LOST = "select last_seen < now() - make_interval(secs => $2) from pops where pop_id = $1 for update"
_AUDIT = "insert into operator_audit (operator, action, subject) values ($1, $2, $3)"


class PopStore:
    def __init__(self, server: Server, *, lost_after_s: float) -> None:
        self._server = server
        self._lost_after_s = lost_after_s

    async def report(self, heartbeat: PopHeartbeat) -> PopDirective:
        """Record a heartbeat (registering a new PoP); answers what the operator wants."""
        async with self._server.primary() as connection:
            row = await connection.fetchrow(
                _REPORT,
                heartbeat.pop_id,
                heartbeat.region,
                heartbeat.base_url,
                msgspec.json.encode(heartbeat).decode(),
            )
        return PopDirective(state=row["wanted_state"], purge_head=row["purge_head"], viral=tuple(row["viral"]))

    async def views(self) -> tuple[PopView, ...]:
        async with self._server.primary() as connection:
            rows = await connection.fetch(_LIST, self._lost_after_s)
        return tuple(_view(row) for row in rows)

    async def want(self, pop_id: str, state: Literal["active", "draining"], *, operator: str) -> None:
        """Drain or reactivate a PoP, audited. Raises UnknownPop."""
        async with self._server.primary() as connection, connection.transaction():
            status = await connection.execute("update pops set wanted_state = $2 where pop_id = $1", pop_id, state)
            if affected(status) == 0:
                raise _unknown(pop_id)
            await connection.execute(_AUDIT, operator, f"pop.{state}", pop_id)

    async def forget(self, pop_id: str, *, operator: str) -> None:
        """Strike a lost PoP off the registry, audited. Raises UnknownPop, PopAlive."""
        async with self._server.primary() as connection, connection.transaction():
            lost = await connection.fetchval(_LOST, pop_id, self._lost_after_s)
            if lost is None:
                raise _unknown(pop_id)
            if not lost:
                raise PopAlive("it would be back with its next heartbeat: end the PoP, then forget it")
            await connection.execute("delete from pops where pop_id = $1", pop_id)
            await connection.execute(_AUDIT, operator, "pop.forget", pop_id)


def _unknown(pop_id: str) -> UnknownPop:
    return UnknownPop(f"no PoP named {pop_id[:64]!r} has reported; see GET /api/v1/pops")


def _view(row: Any) -> PopView:
    last_seen: datetime = row["last_seen"]
    return PopView(
        pop_id=row["pop_id"],
        region=row["region"],
        base_url=row["base_url"],
        state="lost" if row["lost"] else row["wanted_state"],
        last_seen_ms=int(last_seen.timestamp() * 1000),
        heartbeat=msgspec.json.decode(row["heartbeat"], type=PopHeartbeat),
    )
