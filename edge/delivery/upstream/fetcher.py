"""Fetching a URL once for all who wait for it, and deciding at the response head whether they may share it.

A flight is a task of its own: the request that started it may leave, the others go on. When the head is here the answer
is either shared (stored, or being stored; everybody reads it with a cursor of their own) or private to the leader; then
the others are released at once and go each on their own, and the URL is remembered as one not to wait for.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from multidict import CIMultiDict

from edge.delivery.answer import UNKNOWN_TOTAL
from edge.delivery.ask import Ask
from edge.delivery.decision import SERVER_ERRORS, StaleCause, stale_allowed
from edge.delivery.errors import DeliveryError, OriginBroke, OriginFailed
from edge.delivery.rules.byte_range import parse_range
from edge.delivery.rules.content_coding import accepted
from edge.delivery.rules.field_filter import CONDITIONS, end_to_end
from edge.delivery.rules.storability import Refusal
from edge.delivery.rules.vary import vary_values
from edge.delivery.settings import DeliverySettings
from edge.delivery.store.layout import Layout
from edge.delivery.store.response_store import ResponseStore
from edge.delivery.store.stored_response import StoredResponse
from edge.delivery.upstream.body_fill import BodyFill
from edge.delivery.upstream.connection import Interim
from edge.delivery.upstream.origin import Exchange, OriginRequest, Origins
from edge.delivery.upstream.origin_answer import (
    Describer,
    OriginAnswer,
    add_conditions,
    is_about_another,
    is_usable,
    with_changes,
)
from edge.delivery.upstream.slice_source import SliceSource, Spawn

PRIVATE_MEMORY_S = 10.0
"""How long a URL whose answer could not be shared is fetched without waiting for others."""
_OF_THE_REQUEST = (Refusal.METHOD, Refusal.AUTHORIZATION)
"""Not stored for how it was asked for: says nothing about the next request for the same URL."""
MAX_PRIVATE_KEYS = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """An answer for everybody it fits. `fill` is its body on the way in one stream, None when slices are looked up."""

    stored: StoredResponse
    origin_status: int
    kept: bool
    """In the store (or will be when the stream ends)."""
    fill: BodyFill | None = None
    collapsed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Private:
    """An answer for one request only; whoever takes it must close the exchange."""

    exchange: Exchange
    why: Refusal


Outcome = Shared | Private
Decided = tuple[Outcome, "Coroutine[Any, Any, None] | None"]
"""An outcome, and what is left to do to take its body in."""


class _Flight:
    """One fetch under way. Waiters wait for the event and not for the task: each may leave, and wakes in one step."""

    def __init__(self) -> None:
        self._decided = asyncio.Event()
        self._outcome: Outcome | None = None
        self._error: DeliveryError | None = None
        self._is_abandoned = False

    async def outcome(self) -> Outcome:
        """Raises what ended the fetch."""
        await self._decided.wait()
        if self._outcome is None:
            raise self._error or OriginBroke("the fetch was cancelled")
        return self._outcome

    def succeed(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._decided.set()
        self._close_if_nobodys()

    def abandon(self) -> None:
        """Its leader has left: an answer for the leader alone is nobody's."""
        self._is_abandoned = True
        self._close_if_nobodys()

    def _close_if_nobodys(self) -> None:
        if self._is_abandoned and isinstance(self._outcome, Private):
            self._outcome.exchange.close()

    def fail(self, error: DeliveryError) -> None:
        self._error = error
        self._decided.set()


class Fetcher:
    def __init__(
        self,
        *,
        settings: DeliverySettings,
        store: ResponseStore,
        origins: Origins,
        source: SliceSource,
        clock: Callable[[], float],
        spawn: Spawn,
    ) -> None:
        self._settings = settings
        self._layout = Layout(settings.prefix_bytes, settings.slice_bytes)
        self._describer = Describer(settings, self._layout, new_body_id=store.shelves.new_body_id)
        self._store = store
        self._origins = origins
        self._source = source
        self._clock = clock
        self._spawn = spawn
        self._flights: dict[str, _Flight] = {}
        self._private: OrderedDict[str, float] = OrderedDict()

    # -- single flight -----------------------------------------------------------------------------------------------

    async def fetch(self, ask: Ask, validating: StoredResponse | None, *, interim: Interim | None = None) -> Outcome:
        """Get `ask` from the origin, together with others who want the same. Raises DeliveryError."""
        flight_key = self._flight_key(ask)
        while flight_key is not None and (flight := self._flights.get(flight_key)) is not None:
            outcome = await flight.outcome()
            if (joined := _joined(outcome, ask)) is not None:
                return joined
            flight_key = _key_beside(flight_key, outcome, ask)
        return await self._lead(flight_key, ask, validating, interim)

    def _flight_key(self, ask: Ask) -> str | None:
        """None: known not to be shareable, so do not wait for anybody."""
        if ask.method != "GET" or "Authorization" in ask.headers:
            return None
        return None if self._is_private(ask.key) else ask.key

    async def _lead(
        self, flight_key: str | None, ask: Ask, validating: StoredResponse | None, interim: Interim | None
    ) -> Outcome:
        flight = _Flight()
        if flight_key is not None:
            self._flights[flight_key] = flight
        self._spawn(self._fly(flight, flight_key, ask, validating, interim))
        try:
            return await flight.outcome()
        except asyncio.CancelledError:
            flight.abandon()
            raise

    async def _fly(
        self,
        flight: _Flight,
        flight_key: str | None,
        ask: Ask,
        validating: StoredResponse | None,
        interim: Interim | None,
    ) -> None:
        try:
            outcome, finish = await self._decide(ask, validating, interim)
        except BaseException as err:
            self._land(flight_key, flight)
            flight.fail(err if isinstance(err, DeliveryError) else OriginBroke("the fetch was cancelled"))
            if not isinstance(err, DeliveryError):
                raise
            return
        if isinstance(outcome, Private) or outcome.fill is None:
            self._land(flight_key, flight)
        flight.succeed(outcome)
        if finish is not None:
            try:
                await finish
            finally:
                self._land(flight_key, flight)

    def _land(self, flight_key: str | None, flight: _Flight) -> None:
        if flight_key is not None and self._flights.get(flight_key) is flight:
            del self._flights[flight_key]

    def is_flying(self, key: str) -> bool:
        return key in self._flights

    def ground(self, matches: Callable[[str], bool]) -> None:
        """Let nobody join the flights of purged keys; who waits already gets what was asked for before the purge."""
        for key in [key for key in self._flights if matches(key.partition("\n")[0])]:
            del self._flights[key]

    # -- one fetch ---------------------------------------------------------------------------------------------------

    async def _decide(self, ask: Ask, validating: StoredResponse | None, interim: Interim | None) -> Decided:
        got = await self._ask_origin(ask, validating, interim)
        if got.head.status == 304 and validating is not None and is_about_another(got.head, validating):
            got.exchange.close()  # the origin contradicts itself: trust neither, fetch anew
            got = await self._ask_origin(ask, None, interim)
            validating = None
        try:
            return self._judge(got, ask, validating)
        except BaseException:
            got.exchange.close()
            raise

    async def _ask_origin(self, ask: Ask, validating: StoredResponse | None, interim: Interim | None) -> OriginAnswer:
        """The origin's final answer; a slice request that did not work out is repeated for less, then for the whole."""
        for index in self._slice_attempts(ask, validating):
            span = None if index is None else self._layout.span(index)
            headers = self.origin_headers(ask.headers, conditions=validating is None and self._is_private(ask.key))
            add_conditions(headers, validating)
            if span is not None:
                headers["Range"] = f"bytes={span.start}-{span.stop - 1}"
            sequence, request_s = self._store.journal.head, self._clock()
            exchange = await self._origins.ask(
                OriginRequest(
                    method=ask.method, target=ask.key, headers=headers, interim=interim, priority=ask.priority
                )
            )
            got = OriginAnswer(
                exchange=exchange,
                head=exchange.head,
                request_s=request_s,
                response_s=self._clock(),
                sequence=sequence,
                asked=span,
            )
            if index is None or is_usable(got):
                return got
            exchange.close()
        raise OriginBroke("the origin answers ranges in a way that cannot be used")

    def _slice_attempts(self, ask: Ask, validating: StoredResponse | None) -> list[int | None]:
        if (
            ask.method != "GET"
            or validating is not None
            or self._is_private(ask.key)
            or not ask.target.path.endswith(self._settings.slice_suffixes)
        ):
            return [None]
        specs = parse_range(ask.headers.get("Range", "")) if "Range" in ask.headers else None
        first = self._layout.index_of(specs[0].first) if specs and specs[0].first is not None else 0
        return [first, 0, None] if first else [0, None]

    def _is_private(self, key: str) -> bool:
        return self._private.get(key, 0.0) > self._clock()

    def origin_headers(self, headers: CIMultiDict[str], *, conditions: bool = False) -> CIMultiDict[str]:
        """End-to-end request fields as the origin gets them: no CMCD, our key, our place in CDN-Loop.

        Accept-Encoding is in its normal form: what is answered to it is kept for all its spellings. The client's
        conditions and ranges stay only where the answer is for this client alone.
        """
        kept = end_to_end(headers, without=_NEVER_FORWARDED if conditions else CONDITIONS | _NEVER_FORWARDED)
        if "Accept-Encoding" in kept:
            kept["Accept-Encoding"] = accepted(kept.getall("Accept-Encoding"))
        return self.sign(kept)

    def sign(self, headers: CIMultiDict[str]) -> CIMultiDict[str]:
        headers["CDN-Loop"] = ", ".join([*headers.popall("CDN-Loop", ()), self._settings.name])
        if key := str.__str__(self._settings.origin_key):
            headers["Authorization"] = f"Bearer {key}"
        return headers

    def _judge(self, got: OriginAnswer, ask: Ask, validating: StoredResponse | None) -> Decided:
        if got.head.status == 304 and validating is not None:
            return self._validated(got, validating), None
        if validating is not None and got.head.status in SERVER_ERRORS:
            self._fail_if_stale_will_do(got, validating)
        stored = self._describer.stored(got, ask)
        why = self._describer.refusal(got, ask, stored)
        if why is not None:
            if why not in _OF_THE_REQUEST and got.head.status < 400:  # an error may be a success a moment later
                self._remember_private(ask.key)
            return Private(exchange=got.exchange, why=why), None
        return self._share(got, stored)

    def _fail_if_stale_will_do(self, got: OriginAnswer, validating: StoredResponse) -> None:
        if stale_allowed(validating, StaleCause.SERVER_ERROR, now_s=got.response_s, default_s=0):
            raise OriginFailed(f"the origin answered {got.head.status} to a revalidation")

    def _validated(self, got: OriginAnswer, validating: StoredResponse) -> Shared:
        """A 304: the stored body is current; its fields and freshness are renewed (RFC 9111 section 4.3.4)."""
        got.exchange.close()
        renewed = self._describer.renewed(got, validating)
        kept = self._store.put(renewed)
        return Shared(stored=renewed, origin_status=304, kept=kept)

    def _remember_private(self, key: str) -> None:
        self._private[key] = self._clock() + PRIVATE_MEMORY_S
        self._private.move_to_end(key)
        while len(self._private) > MAX_PRIVATE_KEYS:
            self._private.popitem(last=False)

    # -- taking the body in ------------------------------------------------------------------------------------------

    def _share(self, got: OriginAnswer, stored: StoredResponse) -> Decided:
        self._private.pop(stored.key, None)
        if got.asked is not None and got.head.status == 206:
            self._source.adopt(stored, self._layout.index_of(got.asked.start), got.exchange)
            return Shared(stored=stored, origin_status=206, kept=self._store.put(stored)), None
        if stored.total == 0:
            got.exchange.close()
            return Shared(stored=stored, origin_status=got.head.status, kept=self._store.put(stored)), None
        return self._share_stream(got, stored)

    def _share_stream(self, got: OriginAnswer, stored: StoredResponse) -> Decided:
        pinned = stored.pinned_etag is not None
        fill = BodyFill(
            self._layout,
            retain=not pinned,
            limit_bytes=self._settings.max_whole_bytes,
            keep=lambda index, data: self._store.shelves.keep(stored.body_id, index, data),
        )
        self._source.add_stream(stored.body_id, fill)
        kept = self._store.put(stored) if pinned else True
        shared = Shared(stored=stored, origin_status=got.head.status, kept=kept, fill=fill)
        return shared, self._take_in(got.exchange, stored, fill)

    async def _take_in(self, exchange: Exchange, stored: StoredResponse, fill: BodyFill) -> None:
        """Receive the stream; a body without a strong ETag enters the store only when it is whole."""
        whole = False
        try:
            whole = await fill.run(exchange.body())
        except DeliveryError:
            pass  # the readers were told; what is pinned and here stays, the rest is fetched when wanted
        finally:
            exchange.close()
            self._source.end_stream(stored.body_id)
            if stored.pinned_etag is None:
                self._settle(stored, fill, whole=whole)

    def _settle(self, stored: StoredResponse, fill: BodyFill, *, whole: bool) -> None:
        if not whole or fill.overflowed or fill.total is None:
            self._store.shelves.drop(stored.body_id)
            return
        if stored.total not in (UNKNOWN_TOTAL, fill.total):
            self._store.shelves.drop(stored.body_id)
            return
        self._store.put(with_changes(stored, total=fill.total))


_NEVER_FORWARDED = frozenset(
    {"host", "content-length", "expect", "cmcd-request", "cmcd-object", "cmcd-status", "cmcd-session"}
)


def _joined(outcome: Outcome, ask: Ask) -> Shared | None:
    """The outcome for one who waited for it; None if it is not for this request."""
    if isinstance(outcome, Private) or not outcome.stored.answers(ask.headers):
        return None
    if outcome.fill is not None and outcome.fill.overflowed:
        return None
    return dataclasses.replace(outcome, collapsed=True)


def _key_beside(flight_key: str, outcome: Outcome, ask: Ask) -> str | None:
    """Another variant was fetched: those who want the same one gather again, under its Vary-listed values.

    None when nobody is to be waited for: the answer was private, or this was the second gathering already.
    """
    if isinstance(outcome, Private) or "\n" in flight_key or not outcome.stored.vary_names:
        return None
    return f"{ask.key}\n{vary_values(outcome.stored.vary_names, ask.headers)!r}"
