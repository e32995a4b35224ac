"""Fetching a URL once for all who wait for it, and deciding at the response head whether they may share it.

A flight is a task of its own: the request that started it may leave, the others go on. When the head is here the answer
is either shared (stored, or being stored; everybody reads it with a cursor of their own) or private to the leader; then
the others are released at once and go each on their own, and the URL is remembered as one not to wait for.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from multidict import CIMultiDict

from edge.delivery.answer import UNKNOWN_TOTAL
from edge.delivery.ask import Ask
from edge.delivery.decision import SERVER_ERRORS, StaleCause, stale_allowed
from edge.delivery.errors import DeliveryError, OriginBroke, OriginFailed
from edge.delivery.rules import freshness
from edge.delivery.rules.byte_range import Span, parse_content_range, parse_range
from edge.delivery.rules.cache_control import response_directives
from edge.delivery.rules.field_filter import CONDITIONS, end_to_end, updated_by_304
from edge.delivery.rules.http_date import format_http_date
from edge.delivery.rules.preconditions import entity_tag, strong_etag
from edge.delivery.rules.storability import Refusal, refusal
from edge.delivery.rules.surrogate_tags import surrogate_tags
from edge.delivery.rules.vary import vary_names, vary_values
from edge.delivery.settings import DeliverySettings
from edge.delivery.store.layout import Layout
from edge.delivery.store.response_store import ResponseStore
from edge.delivery.store.stored_response import StoredResponse
from edge.delivery.upstream.body_fill import BodyFill
from edge.delivery.upstream.connection import Interim, ResponseHead
from edge.delivery.upstream.origin import Exchange, OriginRequest, Origins
from edge.delivery.upstream.slice_source import SliceSource, Spawn

PRIVATE_MEMORY_S = 10.0
"""How long a URL whose answer could not be shared is fetched without waiting for others."""
MAX_PRIVATE_KEYS = 16_384
NEGATIVE = frozenset({404, 410})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Got:
    """An origin answer with the times that make its age."""

    exchange: Exchange
    head: ResponseHead
    request_s: float
    response_s: float
    sequence: int
    asked: Span | None
    """The slice asked for, None when the whole was."""


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
        self._store = store
        self._origins = origins
        self._source = source
        self._clock = clock
        self._spawn = spawn
        self._flights: dict[str, asyncio.Future[Outcome]] = {}
        self._private: OrderedDict[str, float] = OrderedDict()

    # -- single flight -----------------------------------------------------------------------------------------------

    async def fetch(self, ask: Ask, validating: StoredResponse | None, *, interim: Interim | None = None) -> Outcome:
        """Get `ask` from the origin, together with others who want the same. Raises DeliveryError."""
        flight_key = self._flight_key(ask)
        if flight_key is not None and (flight := self._flights.get(flight_key)) is not None:
            if (joined := await self._join(flight, ask)) is not None:
                return joined
            flight_key = None
        return await self._lead(flight_key, ask, validating, interim)

    def _flight_key(self, ask: Ask) -> str | None:
        """None: known not to be shareable, so do not wait for anybody."""
        if ask.method != "GET" or "Authorization" in ask.headers:
            return None
        return None if self._is_private(ask.key) else ask.key

    async def _join(self, flight: asyncio.Future[Outcome], ask: Ask) -> Shared | None:
        outcome = await asyncio.shield(flight)
        if isinstance(outcome, Private) or not outcome.stored.answers(ask.headers):
            return None
        if outcome.fill is not None and outcome.fill.overflowed:
            return None
        return Shared(
            stored=outcome.stored,
            origin_status=outcome.origin_status,
            kept=outcome.kept,
            fill=outcome.fill,
            collapsed=True,
        )

    async def _lead(
        self, flight_key: str | None, ask: Ask, validating: StoredResponse | None, interim: Interim | None
    ) -> Outcome:
        flight: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if flight_key is not None:
            self._flights[flight_key] = flight
        self._spawn(self._fly(flight, flight_key, ask, validating, interim))
        try:
            return await asyncio.shield(flight)
        except asyncio.CancelledError:
            flight.add_done_callback(_close_if_private)  # nobody is left to take it
            raise

    async def _fly(
        self,
        flight: asyncio.Future[Outcome],
        flight_key: str | None,
        ask: Ask,
        validating: StoredResponse | None,
        interim: Interim | None,
    ) -> None:
        try:
            outcome, finish = await self._decide(ask, validating, interim)
        except BaseException as err:
            self._land(flight_key, flight)
            told = err if isinstance(err, DeliveryError) else OriginBroke("the fetch was cancelled")
            flight.set_exception(told)
            flight.exception()  # the waiters may all be gone
            if not isinstance(err, DeliveryError):
                raise
            return
        if isinstance(outcome, Private) or outcome.fill is None:
            self._land(flight_key, flight)
        flight.set_result(outcome)
        if finish is not None:
            try:
                await finish
            finally:
                self._land(flight_key, flight)

    def _land(self, flight_key: str | None, flight: asyncio.Future[Outcome]) -> None:
        if flight_key is not None and self._flights.get(flight_key) is flight:
            del self._flights[flight_key]

    def is_flying(self, key: str) -> bool:
        return key in self._flights

    def ground(self, matches: Callable[[str], bool]) -> None:
        """Let nobody join the flights of purged keys; who waits already gets what was asked for before the purge."""
        for key in [key for key in self._flights if matches(key)]:
            del self._flights[key]

    # -- one fetch ---------------------------------------------------------------------------------------------------

    async def _decide(self, ask: Ask, validating: StoredResponse | None, interim: Interim | None):  # type: ignore[no-untyped-def]
        got = await self._ask_origin(ask, validating, interim)
        if got.head.status == 304 and validating is not None and _is_about_another(got.head, validating):
            got.exchange.close()  # the origin contradicts itself: trust neither, fetch anew
            got = await self._ask_origin(ask, None, interim)
            validating = None
        try:
            return self._judge(got, ask, validating)
        except BaseException:
            got.exchange.close()
            raise

    async def _ask_origin(self, ask: Ask, validating: StoredResponse | None, interim: Interim | None) -> _Got:
        """The origin's final answer; a slice request that did not work out is repeated for less, then for the whole."""
        for index in self._slice_attempts(ask, validating):
            span = None if index is None else self._layout.span(index)
            headers = self.origin_headers(ask.headers, conditions=validating is None and self._is_private(ask.key))
            _add_conditions(headers, validating)
            if span is not None:
                headers["Range"] = f"bytes={span.start}-{span.stop - 1}"
            sequence, request_s = self._store.journal.head, self._clock()
            exchange = await self._origins.ask(
                OriginRequest(
                    method=ask.method, target=ask.key, headers=headers, interim=interim, priority=ask.priority
                )
            )
            got = _Got(
                exchange=exchange,
                head=exchange.head,
                request_s=request_s,
                response_s=self._clock(),
                sequence=sequence,
                asked=span,
            )
            if index is None or _is_usable(got):
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

        The client's conditions and ranges stay only where the answer is for this client alone.
        """
        return self.sign(end_to_end(headers, without=_NEVER_FORWARDED if conditions else CONDITIONS | _NEVER_FORWARDED))

    def sign(self, headers: CIMultiDict[str]) -> CIMultiDict[str]:
        headers["CDN-Loop"] = ", ".join([*headers.popall("CDN-Loop", ()), self._settings.name])
        if key := str.__str__(self._settings.origin_key):
            headers["Authorization"] = f"Bearer {key}"
        return headers

    def _judge(self, got: _Got, ask: Ask, validating: StoredResponse | None):  # type: ignore[no-untyped-def]
        if got.head.status == 304 and validating is not None:
            return self._validated(got, validating), None
        if validating is not None and got.head.status in SERVER_ERRORS:
            self._fail_if_stale_will_do(got, validating)
        stored = self._stored(got, ask)
        why = self._refusal(got, ask, stored)
        if why is not None:
            self._remember_private(ask.key)
            return Private(exchange=got.exchange, why=why), None
        return self._share(got, stored)

    def _fail_if_stale_will_do(self, got: _Got, validating: StoredResponse) -> None:
        if stale_allowed(validating, StaleCause.SERVER_ERROR, now_s=got.response_s, default_s=0):
            raise OriginFailed(f"the origin answered {got.head.status} to a revalidation")

    def _validated(self, got: _Got, validating: StoredResponse) -> Shared:
        """A 304: the stored body is current; its fields and freshness are renewed (RFC 9111 section 4.3.4)."""
        got.exchange.close()
        headers = updated_by_304(validating.headers, got.head.headers)
        renewed = self._describe(got, headers, status=validating.status, reason=validating.reason, like=validating)
        kept = self._store.put(renewed)
        return Shared(stored=renewed, origin_status=304, kept=kept)

    def _stored(self, got: _Got, ask: Ask) -> StoredResponse:
        """What would be stored of this answer. A 206 to our own slice request is a 200 seen through a window."""
        headers = end_to_end(got.head.headers, without=_NOT_STORED)
        status, reason, total = got.head.status, got.head.reason, _length(got.head)
        if got.asked is not None and status == 206:
            told = parse_content_range(headers.popall("Content-Range")[0])
            assert told is not None
            assert told.total is not None
            status, reason, total = 200, "OK", told.total
            headers.popall("Content-Length", None)
        headers.setdefault("Date", format_http_date(got.response_s))
        stored = self._describe(got, headers, status=status, reason=reason, total=total)
        names = vary_names(headers) or ()
        return _replace(stored, key=ask.key, vary_names=names, vary_values=vary_values(names, ask.headers))

    def _describe(
        self,
        got: _Got,
        headers: CIMultiDict[str],
        *,
        status: int,
        reason: str,
        total: int = UNKNOWN_TOTAL,
        like: StoredResponse | None = None,
    ) -> StoredResponse:
        directives = response_directives(headers)
        lifetime_s = freshness.lifetime_s(
            headers,
            directives,
            status=status,
            response_s=got.response_s,
            heuristics=self._settings.heuristic_freshness,
        )
        if lifetime_s == 0 and status in NEGATIVE and _says_nothing(headers):
            lifetime_s = self._settings.negative_ttl_s
        known = total != UNKNOWN_TOTAL and status == 200 and got.head.delimited
        timing: dict[str, Any] = {
            "fields": tuple((str(name), value) for name, value in headers.items()),  # no istr: it is written to disk
            "request_s": got.request_s,
            "response_s": got.response_s,
            "initial_age_s": freshness.initial_age_s(
                got.head.headers, request_s=got.request_s, response_s=got.response_s
            ),
            "lifetime_s": lifetime_s,
            "tags": surrogate_tags(headers),
            "sequence": got.sequence,
            "purged_soft": False,
        }
        if like is not None:
            return _replace(like, **timing)
        return StoredResponse(
            key="",
            vary_names=(),
            vary_values=(),
            status=status,
            reason=reason,
            body_id=self._store.shelves.new_body_id(),
            total=total,
            pinned_etag=strong_etag(headers) if known else None,
            layout=self._layout,
            **timing,
        )

    def _refusal(self, got: _Got, ask: Ask, stored: StoredResponse) -> Refusal | None:
        if got.head.status == 206 and got.asked is None:
            return Refusal.STATUS
        if ask.method == "HEAD":
            return Refusal.METHOD
        if not got.head.delimited:
            return Refusal.UNDELIMITED
        why = refusal(
            method=ask.method,
            status=stored.status,
            request=ask.headers,
            response=stored.headers,
            directives=stored.directives,
            lifetime_s=stored.lifetime_s,
            has_validator=stored.has_validator,
            store_set_cookie=self._settings.store_set_cookie,
        )
        if why is None and stored.pinned_etag is None and stored.total > self._settings.max_whole_bytes:
            return Refusal.TOO_LARGE
        return why

    def _remember_private(self, key: str) -> None:
        self._private[key] = self._clock() + PRIVATE_MEMORY_S
        self._private.move_to_end(key)
        while len(self._private) > MAX_PRIVATE_KEYS:
            self._private.popitem(last=False)

    # -- taking the body in ------------------------------------------------------------------------------------------

    def _share(self, got: _Got, stored: StoredResponse):  # type: ignore[no-untyped-def]
        self._private.pop(stored.key, None)
        if got.asked is not None and got.head.status == 206:
            self._source.adopt(stored, self._layout.index_of(got.asked.start), got.exchange)
            return Shared(stored=stored, origin_status=206, kept=self._store.put(stored)), None
        if stored.total == 0:
            got.exchange.close()
            return Shared(stored=stored, origin_status=got.head.status, kept=self._store.put(stored)), None
        return self._share_stream(got, stored)

    def _share_stream(self, got: _Got, stored: StoredResponse):  # type: ignore[no-untyped-def]
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
        self._store.put(_replace(stored, total=fill.total))


_NOT_STORED = frozenset({"cmsd-dynamic"})
"""True for one hop at one moment."""
_NEVER_FORWARDED = frozenset(
    {"host", "content-length", "expect", "cmcd-request", "cmcd-object", "cmcd-status", "cmcd-session"}
)


def _replace(stored: StoredResponse, **changes: Any) -> StoredResponse:
    """A changed copy, with none of the original's cached views of its fields."""
    values = {name: getattr(stored, name) for name in stored.__struct_fields__}
    return StoredResponse(**{**values, **changes})


def _add_conditions(headers: CIMultiDict[str], validating: StoredResponse | None) -> None:
    """Our own validators (RFC 9111 section 4.3.1)."""
    if validating is None:
        return
    if (tag := entity_tag(validating.headers)) is not None:
        headers["If-None-Match"] = tag
    if (modified := validating.headers.get("Last-Modified")) is not None:
        headers["If-Modified-Since"] = modified


def _is_about_another(head: ResponseHead, validating: StoredResponse) -> bool:
    """A 304 naming another ETag does not confirm the stored bytes (RFC 9111 section 4.3.4)."""
    told, held = entity_tag(head.headers), entity_tag(validating.headers)
    return told is not None and held is not None and told.removeprefix("W/") != held.removeprefix("W/")


def _is_usable(got: _Got) -> bool:
    """Whether the answer to a slice request can be worked with: that very slice, pinned; or anything but a range."""
    head = got.head
    if head.status == 416:
        return False
    if head.status != 206:
        return True
    told = parse_content_range(head.headers.get("Content-Range", ""))
    if (
        told is None
        or told.span is None
        or told.total is None
        or strong_etag(head.headers) is None
        or got.asked is None
    ):
        return False
    return told.span == Span(got.asked.start, min(got.asked.stop, told.total))


def _length(head: ResponseHead) -> int:
    if head.status == 204:
        return 0
    text = head.headers.get("Content-Length")
    return int(text) if text is not None and "Transfer-Encoding" not in head.headers else UNKNOWN_TOTAL


def _says_nothing(headers: CIMultiDict[str]) -> bool:
    return not any(name in headers for name in ("Cache-Control", "CDN-Cache-Control", "Edge-Cache-Control", "Expires"))


def _close_if_private(flight: asyncio.Future[Outcome]) -> None:
    if not flight.cancelled() and flight.exception() is None and isinstance(outcome := flight.result(), Private):
        outcome.exchange.close()
