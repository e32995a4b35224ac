"""Sends spooled events to the origin: one batch at a time, oldest first, deleted after the receipt."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import Protocol

import aiohttp
import msgspec
import xxhash

from edge.events.spool import START, EventSpool, Spooled
from foundation.errors import BadInput, Unavailable
from foundation.settings import Secret
from foundation.tasks import end_tasks
from foundation.wire.events import EventBatch, EventReceipt

_log = logging.getLogger(__name__)


class EventOrigin(Protocol):
    async def deliver(self, batch: EventBatch) -> EventReceipt:
        """Raises Unavailable (try again) or BadInput (never will be accepted)."""
        ...


class HttpEventOrigin:
    """POST /internal/v1/events with the service key."""

    def __init__(self, session: aiohttp.ClientSession, *, base_url: str, service_key: Secret) -> None:
        self._session = session
        self._url = f"{base_url.rstrip('/')}/internal/v1/events"
        self._headers = {
            "Authorization": f"Bearer {str.__str__(service_key)}",
            "Content-Type": "application/json",
        }

    async def deliver(self, batch: EventBatch) -> EventReceipt:
        timeout = aiohttp.ClientTimeout(total=30)
        try:
            async with self._session.post(
                self._url, data=msgspec.json.encode(batch), headers=self._headers, timeout=timeout
            ) as reply:
                body = await reply.read()
        except (aiohttp.ClientError, TimeoutError) as err:
            raise Unavailable(f"the origin does not take events: {type(err).__name__}") from err
        if reply.status in (400, 413, 422):
            raise BadInput(f"the origin refuses the batch with {reply.status}")
        if reply.status not in (200, 201, 202):
            raise Unavailable(f"the origin answered {reply.status} to events")
        try:
            return msgspec.json.decode(body, type=EventReceipt)
        except msgspec.DecodeError as err:
            raise Unavailable("the origin's receipt is not readable") from err


@dataclass(slots=True)
class ForwarderCounts:
    """Totals since the start, read by metrics."""

    sent: int = 0
    refused: int = 0
    failures: int = 0


class EventForwarder:
    """Owner of one task. `close` leaves unsent events in the spool, where the next start finds them."""

    def __init__(
        self,
        spool: EventSpool,
        origin: EventOrigin,
        *,
        pop_id: str,
        batch: int = 500,
        retry_first_s: float = 0.2,
        retry_most_s: float = 5.0,
    ) -> None:
        self._spool = spool
        self._origin = origin
        self._pop_id = pop_id
        self._batch = batch
        self._retry_first_s, self._retry_most_s = retry_first_s, retry_most_s
        self._task: asyncio.Task[None] | None = None
        self._after = START
        """Where this pass over the spool stands; beyond the start only while events before it wait."""
        self.counts = ForwarderCounts()

    def open(self) -> None:
        self._task = asyncio.create_task(self._run(), name="event-forwarder")

    async def close(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])

    async def _run(self) -> None:
        delay_s = self._retry_first_s
        while True:
            try:
                await self.forward_once(wait_ms=1000)
                delay_s = self._retry_first_s
            except Unavailable as err:
                self.counts.failures += 1
                if delay_s == self._retry_first_s:
                    _log.warning("events wait in the spool: %s", err.detail, extra={"event": "events_wait"})
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
                delay_s = min(delay_s * 2, self._retry_most_s)

    async def forward_once(self, *, wait_ms: int) -> int:
        """Send the next batch, if there is one; how many events left the spool. Raises Unavailable.

        Events whose shard the origin cannot write now stay, and those behind them go first; once the end of the
        spool is reached, Unavailable is raised for the ones left, and the next call begins with the oldest again.
        """
        left_some = self._after != START
        spooled = await self._spool.oldest(self._batch, wait_ms=None if left_some else wait_ms, after=self._after)
        if not spooled.ids and not spooled.broken:
            self._after = START
            if left_some:
                raise Unavailable("part of the origin's database is away or being moved")
            return 0
        waiting = await self._deliver(spooled) if spooled.events else ()
        kept = {spooled.ids[position] for position in waiting}
        done = [entry_id for entry_id in (*spooled.ids, *spooled.broken) if entry_id not in kept]
        self.counts.refused += len(spooled.broken)
        if done:
            await self._spool.acknowledge(done)
        if waiting:
            self._after = spooled.ids[-1]
        return len(done)

    async def _deliver(self, spooled: Spooled) -> tuple[int, ...]:
        """Positions of the events that must wait."""
        batch = EventBatch(batch_id=self._batch_id(spooled), events=spooled.events, partly=True)
        try:
            receipt = await self._origin.deliver(batch)
        except BadInput as err:
            await self._deliver_singly(spooled, err)
            return ()
        waiting = tuple(position for position in receipt.waiting if 0 <= position < len(spooled.events))
        self.counts.sent += len(spooled.events) - len(waiting)
        return waiting

    async def _deliver_singly(self, spooled: Spooled, err: BadInput) -> None:
        """One bad event must not hold up the rest: find it, count it, let it go."""
        _log.error("a batch of events was refused: %s", err.detail, extra={"event": "events_refused"})
        for event in spooled.events:
            try:
                await self._origin.deliver(EventBatch(batch_id=f"{self._pop_id}-{event.event_id}", events=(event,)))
                self.counts.sent += 1
            except BadInput:
                self.counts.refused += 1

    def _batch_id(self, spooled: Spooled) -> str:
        """The same for the same entries, so that a batch sent twice is recognised."""
        return f"{self._pop_id}-{xxhash.xxh3_128_hexdigest(b','.join(spooled.ids))}"
