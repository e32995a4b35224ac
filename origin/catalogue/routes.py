"""Internal routes for PoPs: catalogue snapshot and changes, revocations; and the JWKS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta

from foundation.catalogue_checksum import LARGEST_ID, RANGE_DIGEST
from foundation.http.endpoint import Access, Call, endpoint, render
from foundation.stores.listener import Listener
from foundation.stores.outbox import LOG_CHANNEL
from foundation.stores.postgres import Shards
from foundation.wire import Wire
from foundation.wire.catalogue import RangeDigest, SnapshotHead
from foundation.wire.pops import Revocation, Revocations
from origin.accounts.tokens import AccessTokens
from origin.catalogue.projection import CATALOGUE_HEAD, REVOCATIONS_HEAD

T = TypeVar("T")
_RECHECK_S = 5.0  # a lost notification costs this much delay, not more


class ChangesQuery(Wire, frozen=True, kw_only=True):
    after: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=2000)] = 500
    wait_ms: Annotated[int, Meta(ge=0, le=60_000)] = 0


class RangeQuery(Wire, frozen=True, kw_only=True):
    after: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=5000)] = 1000


class SnapshotQuery(Wire, frozen=True, kw_only=True):
    """A part of the ids, for a PoP that mends its replica; by default everything."""

    after: Annotated[int, Meta(ge=0)] = 0
    up_to: Annotated[int, Meta(ge=0)] = LARGEST_ID


class RawChange(Wire, frozen=True, kw_only=True):
    """`wire.catalogue.CatalogueChange` with the stored JSON passed through unparsed."""

    seq: int
    kind: Literal["upsert", "counters", "tombstone"]
    video_id: str
    item: msgspec.Raw | None = None
    counters: msgspec.Raw | None = None


class RawChanges(Wire, frozen=True, kw_only=True):
    changes: tuple[RawChange, ...]
    head: int
    floor: int


class CatalogueRoutes:
    def __init__(self, *, shards: Shards, listener: Listener, tokens: AccessTokens) -> None:
        self._shards = shards
        self._listener = listener
        self._tokens = tokens

    @endpoint("GET", "/.well-known/jwks.json", summary="Public keys of access tokens (RFC 7517)", reply=dict[str, Any])
    async def jwks(self, call: Call[None]) -> web.Response:
        answer = render(self._tokens.jwks())
        answer.headers["Cache-Control"] = "public, max-age=60"
        return answer

    @endpoint(
        "GET",
        "/internal/v1/catalogue/changes",
        summary="Catalogue log after a sequence number (long poll)",
        query=ChangesQuery,
        access=Access.SERVICE,
    )
    async def changes(self, call: Call[None]) -> RawChanges:
        query: ChangesQuery = call.query
        return await self._poll(lambda: self._changes_after(query), lambda found: bool(found.changes), query.wait_ms)

    async def _changes_after(self, query: ChangesQuery) -> RawChanges:
        async with self._shards.control() as connection:
            rows = await connection.fetch(
                "select seq, kind, video_id, body from catalogue_log where seq > $1 order by seq limit $2",
                query.after,
                query.limit,
            )
            ends = await connection.fetchrow(
                """select coalesce((select seq from log_heads where name = $1), 0) as head,
                       coalesce((select min(seq) - 1 from catalogue_log), 0) as floor""",
                CATALOGUE_HEAD,
            )
        return RawChanges(changes=tuple(_change(row) for row in rows), head=ends["head"], floor=ends["floor"])

    @endpoint(
        "GET",
        "/internal/v1/catalogue/snapshot",
        summary="Everything published now, as NDJSON",
        query=SnapshotQuery,
        reply_type="application/x-ndjson",
        access=Access.SERVICE,
    )
    async def snapshot(self, call: Call[None]) -> web.StreamResponse:
        """First line `wire.catalogue.SnapshotHead`, then one `CatalogueItem` a line."""
        query: SnapshotQuery = call.query
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        async with (
            self._shards.control() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            head = await connection.fetchrow(
                """select coalesce((select seq from log_heads where name = $1), 0) as seq,
                       (select count(*) from catalogue_items where video_id > $2 and video_id <= $3) as count""",
                CATALOGUE_HEAD,
                query.after,
                query.up_to,
            )
            await response.prepare(call.request)
            await response.write(msgspec.json.encode(SnapshotHead(seq=head["seq"], count=head["count"])) + b"\n")
            cursor = await connection.cursor(
                "select item from catalogue_items where video_id > $1 and video_id <= $2 order by video_id",
                query.after,
                query.up_to,
            )
            while rows := await cursor.fetch(200):
                # jsonb text has no raw line breaks: one item is one line
                await response.write("".join(row["item"] + "\n" for row in rows).encode())
        await response.write_eof()
        return response

    @endpoint(
        "GET",
        "/internal/v1/catalogue/digest",
        summary="Checksum of a range of what is published now",
        query=RangeQuery,
        reply=RangeDigest,
        access=Access.SERVICE,
    )
    async def digest(self, call: Call[None]) -> RangeDigest:
        """PoPs walk the ids with it and compare; about 10 us an item here."""
        query: RangeQuery = call.query
        async with self._shards.control() as connection, connection.transaction(isolation="repeatable_read"):
            seq = await connection.fetchval("select seq from log_heads where name = $1", CATALOGUE_HEAD)
            row = await connection.fetchrow(RANGE_DIGEST, query.after, query.limit)
        last = row["count"] < query.limit
        return RangeDigest(
            seq=seq or 0,
            up_to=str(LARGEST_ID if last else row["up_to"]),
            count=row["count"],
            digest=str(row["digest"]),
            last=last,
        )

    @endpoint(
        "GET",
        "/internal/v1/revocations",
        summary="Sessions ended after a sequence number (long poll)",
        query=ChangesQuery,
        reply=Revocations,
        access=Access.SERVICE,
    )
    async def revocations(self, call: Call[None]) -> Revocations:
        query: ChangesQuery = call.query
        return await self._poll(
            lambda: revocations_after(self._shards, query.after, limit=query.limit),
            lambda found: bool(found.revocations),
            query.wait_ms,
        )

    async def _poll(self, look: Callable[[], Awaitable[T]], enough: Callable[[T], bool], wait_ms: int) -> T:
        """Look until there is something or the time is over; woken by the relay's notification."""
        deadline_s = asyncio.get_running_loop().time() + wait_ms / 1000
        async with self._listener.watch(LOG_CHANNEL) as watch:
            while True:
                found = await look()
                left_s = deadline_s - asyncio.get_running_loop().time()
                if enough(found) or left_s <= 0:
                    return found
                await watch.changed(timeout_s=min(left_s, _RECHECK_S))


async def revocations_after(shards: Shards, after: int, *, limit: int) -> Revocations:
    async with shards.control() as connection:
        rows = await connection.fetch(
            "select seq, user_id, session_id, at_ms from revocations where seq > $1 order by seq limit $2", after, limit
        )
        head = await connection.fetchval("select seq from log_heads where name = $1", REVOCATIONS_HEAD)
    return Revocations(
        revocations=tuple(
            Revocation(
                seq=row["seq"],
                user_id=str(row["user_id"]),
                session_id=str(row["session_id"]) if row["session_id"] is not None else None,
                at_ms=row["at_ms"],
            )
            for row in rows
        ),
        head=head or 0,
    )


def _change(row: Any) -> RawChange:
    body = msgspec.Raw(row["body"].encode()) if row["body"] is not None else None
    return RawChange(
        seq=row["seq"],
        kind=row["kind"],
        video_id=str(row["video_id"]),
        item=body if row["kind"] == "upsert" else None,
        counters=body if row["kind"] == "counters" else None,
    )
