"""The purge log in Postgres: appended in order, read after a position, trimmed by age."""

from __future__ import annotations

import msgspec

from foundation.stores.postgres import Server
from foundation.wire.pops import PurgeLog, PurgeOrder, PurgeReceipt, PurgeRequest

CHANNEL = "popreel_purges"
PAGE = 1000
_APPEND_LOCK = 0x70757267  # "purg": one appender at a time, so that numbers are dense and commit in order
_APPEND = """
insert into purge_orders (seq, url, prefix, tag, soft, issued_by)
select (select coalesce(max(seq), 0) from purge_orders) + row_number() over (), url, prefix, tag, $4, $5
from (select u as url, null as prefix, null as tag from unnest($1::text[]) u
      union all select null, p, null from unnest($2::text[]) p
      union all select null, null, t from unnest($3::text[]) t) wanted
returning seq"""
_AFTER = """
select seq, url, prefix, tag, soft, (extract(epoch from issued_at) * 1000)::bigint as issued_at_ms
from purge_orders where seq > $1 order by seq limit $2"""
_BOUNDS = "select coalesce(max(seq), 0) as head, coalesce(min(seq), 1) - 1 as floor from purge_orders"
_RECEIPT = """
select pop_id, case when (heartbeat->>'purgeSeq')::bigint >= $1 then 'confirmed'
                    when last_seen < now() - make_interval(secs => $2) then 'lost' else 'waiting' end as standing
from pops order by pop_id"""
_TRIM = """
delete from purge_orders where issued_at < now() - make_interval(days => $1)
and seq < (select max(seq) from purge_orders)"""


class PurgeStore:
    def __init__(self, server: Server, *, lost_after_s: float) -> None:
        """`lost_after_s`: as in the registry, which says of the same PoPs that they are lost."""
        self._server = server
        self._lost_after_s = lost_after_s

    async def append(self, request: PurgeRequest, *, issued_by: str) -> int:
        """Add one order for each URL, prefix and tag; the number of the last one."""
        async with self._server.primary() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _APPEND_LOCK)
            rows = await connection.fetch(
                _APPEND, list(request.urls), list(request.prefixes), list(request.tags), request.soft, issued_by
            )
            await connection.execute(
                "insert into operator_audit (operator, action, subject, detail) values ($1, 'purge', $2, $3)",
                issued_by,
                f"{len(rows)} orders",
                msgspec.json.encode(request).decode(),
            )
            await connection.execute("select pg_notify($1, '')", CHANNEL)
        return max(int(row["seq"]) for row in rows)

    async def after(self, seq: int) -> PurgeLog:
        """Up to PAGE orders after `seq`."""
        async with self._server.primary() as connection:
            rows = await connection.fetch(_AFTER, seq, PAGE)
            bounds = await connection.fetchrow(_BOUNDS)
        orders = tuple(PurgeOrder(**dict(row)) for row in rows)
        return PurgeLog(orders=orders, head=bounds["head"], floor=bounds["floor"])

    async def receipt(self, seq: int, *, orders: int = 1) -> PurgeReceipt:
        async with self._server.primary() as connection:
            rows = await connection.fetch(_RECEIPT, seq, self._lost_after_s)

        def those(standing: str) -> tuple[str, ...]:
            return tuple(row["pop_id"] for row in rows if row["standing"] == standing)

        return PurgeReceipt(
            seq=seq, orders=orders, confirmed=those("confirmed"), waiting=those("waiting"), lost=those("lost")
        )

    async def trim(self, *, days: int) -> None:
        """Forget orders older than `days`, always keeping the newest, whose number is the head."""
        async with self._server.primary() as connection:
            await connection.execute(_TRIM, days)
