"""GET /internal/v1/viewers/{viewer}/events: what a viewer watched last, for a PoP that meets the viewer for the first
time."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from foundation.http.endpoint import Access, Call, endpoint
from foundation.stores.postgres import Shards
from foundation.wire.events import EventBatch, WatchEvent, WatchReport

_RECENT = """
select event_key, video_id, viewer, pop_id, received_at, watch_ms, total_ms, flags
from watch_events where viewer = $1 and day > current_date - 35 order by received_at desc limit $2"""


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=500)] = 200


class ViewerHistoryRoutes:
    def __init__(self, *, shards: Shards) -> None:
        self._shards = shards

    @endpoint(
        "GET",
        "/internal/v1/viewers/{viewer}/events",
        summary="A viewer's last watch events, oldest first",
        query=HistoryQuery,
        reply=EventBatch,
        access=Access.SERVICE,
    )
    async def recent(self, call: Call[None]) -> EventBatch:
        """Up to `limit` events of five weeks. Event ids are the stored keys: the players' own are not kept."""
        viewer, limit = call.path("viewer"), call.query.limit
        rows: list[Any] = []
        for server in self._shards.servers.values():
            async with server.primary() as connection:
                rows += await connection.fetch(_RECENT, viewer, limit)
        rows.sort(key=lambda row: row["received_at"])
        return EventBatch(batch_id=f"history-{viewer}"[:128], events=tuple(map(_event, rows[-limit:])))


def _event(row: Any) -> WatchEvent:
    flags = int(row["flags"])
    report = WatchReport(
        video_id=str(row["video_id"]),
        watch_duration=row["watch_ms"],
        total_duration=row["total_ms"],
        liked=bool(flags & 1),
        commented=bool(flags & 2),
        shared=bool(flags & 4),
        followed_creator=bool(flags & 8),
        not_interested=bool(flags & 16),
    )
    return WatchEvent(
        event_id=row["event_key"].hex,
        viewer=row["viewer"],
        pop_id=row["pop_id"],
        received_at_ms=int(row["received_at"].timestamp() * 1000),
        report=report,
    )
