"""POST /internal/v1/events: batches from the PoPs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from foundation.errors import TooLarge
from foundation.http.endpoint import Access, Call, endpoint
from foundation.wire.events import EventBatch, EventReceipt
from origin.events.event_store import EventStore

MAX_EVENTS = 5000


class EventRoutes:
    def __init__(self, *, events: EventStore, clock_s: Callable[[], float]) -> None:
        self._events = events
        self._clock_s = clock_s

    @endpoint(
        "POST",
        "/internal/v1/events",
        summary="A batch of watch events",
        body=EventBatch,
        reply=EventReceipt,
        access=Access.SERVICE,
        max_body_bytes=8 * 1024 * 1024,
    )
    async def ingest(self, call: Call[EventBatch]) -> EventReceipt:
        """At-least-once: sending a batch, or any of its events, again counts nothing twice. With `partly`, what cannot
        be stored now is named in the receipt; 503 if no server takes anything."""
        if len(call.body.events) > MAX_EVENTS:
            raise TooLarge(f"at most {MAX_EVENTS} events in a batch")
        today = dt.datetime.fromtimestamp(self._clock_s(), tz=dt.UTC).date()
        return await self._events.ingest(call.body.events, today=today, partly=call.body.partly)
