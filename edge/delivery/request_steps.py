"""A request in the slow lane, as a list of steps.

1 understand    target, key, token, CMCD           -> 400
2 refuse        loops, methods, tokens             -> 508, 405, 403
3 look up       variants in memory, then on disk
4 decide        serve | serve and refresh | validate | fetch | time out
5 fetch         together with others who wait for the same
6 answer        condition, range, Age, Cache-Status
7 note          outcome, bytes, time
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web
from multidict import CIMultiDict

from edge.delivery import cors
from edge.delivery.answer import ACCESS_FIELD, answer
from edge.delivery.ask import Ask, make_ask, parse_target
from edge.delivery.decision import Decision, StaleCause, Step, decide, stale_allowed
from edge.delivery.errors import DeliveryError, OriginBroke, OriginFailed, OriginTimeout, OriginUnreachable
from edge.delivery.lane.link import link_of
from edge.delivery.lane.protocol import method_of
from edge.delivery.prefetcher import PrefetchOrder
from edge.delivery.respond import EdgeResponse, body_of, relay_to, send
from edge.delivery.rules import cache_status, cmsd
from edge.delivery.rules.cache_control import RequestDirectives
from edge.delivery.rules.cache_status import Forward
from edge.delivery.rules.cmcd import NO_CMCD
from edge.delivery.rules.field_filter import end_to_end, without
from edge.delivery.rules.hotlink import may_embed
from edge.delivery.rules.storability import Refusal
from edge.delivery.rules.structured_field import parse_list, quote
from edge.delivery.store.response_store import Departure
from edge.delivery.store.shelves import is_coded
from edge.delivery.store.stored_response import StoredResponse
from edge.delivery.tally import Outcome
from edge.delivery.upstream.body_fill import BodyFill
from edge.delivery.upstream.fetcher import Private, Shared
from edge.delivery.upstream.origin import OriginRequest
from edge.delivery.upstream.priority_gate import Priority
from foundation.errors import Forbidden, MethodNotAllowed, PopreelError, RequestError
from foundation.http.guard import bearer, holder_of
from foundation.http.problem import problem_response
from foundation.wire.pops import PurgeOrder

if TYPE_CHECKING:
    from edge.delivery.delivery import Delivery

READS = frozenset({"GET", "HEAD"})
_SAFE = READS | {"OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"}
"""Registered as safe; whatever else there is, and is yet to come, invalidates (RFC 9111 section 4.4)."""
_MISS_CLASS = {
    None: Outcome.MISS_COLD,
    Departure.EVICTED: Outcome.MISS_EVICTED,
    Departure.PURGED: Outcome.MISS_PURGED,
    Departure.CHANGED: Outcome.MISS_EXPIRED,
}


class LoopDetected(RequestError):
    code = "loop-detected"
    status = 508
    title = "This request has been here before"


@dataclass(slots=True, kw_only=True)
class Course:
    """One request on its way through the steps: what is noted about it at the end."""

    request: web.BaseRequest
    started_s: float
    outcome: Outcome = Outcome.ERROR
    signed: bool = False
    departure: Departure | None = None
    """Why what was asked for is no longer stored; None if it never was (as far as is remembered)."""


class RequestSteps:
    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._settings = delivery.settings
        self._name = cache_status.member_name(delivery.settings.name)
        self._embedders = frozenset(delivery.settings.embedding_hosts)
        self._dropped = frozenset(name.lower() for name in delivery.settings.drop_request_fields)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        course = Course(request=request, started_s=self._delivery.clock())
        try:
            response = await self._run(course)
        except PopreelError as err:
            if isinstance(err, RequestError):
                course.outcome = Outcome.REFUSED
            response = self._problem(course, err)
        except ConnectionError:
            # The viewer left. An error raised here would be logged as ours; ending a dead connection is quiet.
            self._delivery.tally.left += 1
            response = EdgeResponse(status=499, reason="Client Closed Request", headers=CIMultiDict())
            response.cut(request)
        if isinstance(response, EdgeResponse) and response.is_truncated:
            self._delivery.tally.truncated += response.status != 499
        body_bytes = response.body_length if response.prepared else 0
        self._note(course, status=response.status, body_bytes=body_bytes)
        return response

    async def _run(self, course: Course) -> web.StreamResponse:
        request = course.request
        dropped = self._dropped | {"authorization"} if self._settings.child_keys else self._dropped
        headers = without(request.headers, dropped)
        ask = make_ask(method_of(request), request.raw_path, headers)
        if (early := self._refuse(course, ask)) is not None:
            return early
        if ask.method not in READS:
            return await self._pass_through(course, ask)
        self._delivery.heed(ask.target, ask.cmcd)
        variants = await self._delivery.store.find(ask.key)
        decision = decide(
            variants,
            ask,
            now_s=self._delivery.clock(),
            obey_client=self._settings.obey_client_no_cache,
            may_be_purged=self._delivery.may_be_purged,
        )
        return await self._carry_out(course, ask, decision)

    # -- 2 refuse ----------------------------------------------------------------------------------------------------

    def _refuse(self, course: Course, ask: Ask) -> web.StreamResponse | None:
        """An answer that needs no cache, None to go on. Raises RequestError."""
        course.outcome = Outcome.REFUSED
        if self._loops(ask):
            raise LoopDetected(f"CDN-Loop names {self._name} already")
        if ask.method == "OPTIONS" and self._settings.cors_origin and cors.is_preflight(ask.headers):
            return web.Response(status=204, headers=cors.preflight_fields(self._settings.cors_origin))
        if not may_embed([ask.headers[name] for name in ("Referer", "Origin") if name in ask.headers], self._embedders):
            raise Forbidden("this site may not embed these videos")
        if ask.method == "CONNECT" or (self._settings.read_only and ask.method not in READS):
            raise MethodNotAllowed("media is only read: use GET or HEAD")
        course.signed = self._is_child(course.request) or self._delivery.gatekeeper.admit(ask.target)
        course.outcome = Outcome.ERROR
        return None

    def _is_child(self, request: web.BaseRequest) -> bool:
        """Shield mode: PoPs come with a key and may have everything. Raises Forbidden for whoever has none."""
        if not self._settings.child_keys:
            return False
        holder_of(bearer(request.headers.get("Authorization")) or "", self._settings.child_keys)
        return True

    def _loops(self, ask: Ask) -> bool:
        """RFC 8586: our own name in CDN-Loop means that we forwarded this request ourselves."""
        hops = ",".join(ask.headers.getall("CDN-Loop", ())).split(",")
        return any(hop.partition(";")[0].strip(" \t") == self._settings.name for hop in hops)

    # -- 4 decide, 5 fetch -------------------------------------------------------------------------------------------

    async def _carry_out(self, course: Course, ask: Ask, decision: Decision) -> web.StreamResponse:
        stored = decision.stored
        match decision.step:
            case Step.SERVE | Step.SERVE_AND_REFRESH if stored is not None:
                if decision.step is Step.SERVE_AND_REFRESH:
                    self._refresh_behind(ask, stored)
                if (response := await self._serve_stored(course, ask, stored, decision)) is not None:
                    return response
                return await self._fetch(course, ask, Decision(step=Step.FETCH, forward=Forward.PARTIAL))
            case Step.TIMEOUT:
                course.outcome = Outcome.REFUSED
                status = cache_status.forwarded(self._name, decision.forward, detail="only-if-cached")
                return web.Response(status=504, headers={"Cache-Status": status})
            case _:
                return await self._fetch(course, ask, decision)

    async def _serve_stored(
        self, course: Course, ask: Ask, stored: StoredResponse, decision: Decision
    ) -> web.StreamResponse | None:
        """Answer from the store; None when its bytes are gone and cannot be completed."""
        if stored.pinned_etag is None and not await self._delivery.shelves.has_all(stored):
            self._delivery.store.drop(stored, Departure.EVICTED)
            return None
        ttl_s = stored.ttl_s(self._delivery.clock())
        course.outcome = Outcome.HIT if ttl_s > 0 else Outcome.HIT_STALE
        detail = "stale-while-revalidate" if decision.step is Step.SERVE_AND_REFRESH else ""
        return await self._send(course, ask, stored, cache_status.hit(self._name, ttl_s=ttl_s, detail=detail))

    async def _fetch(self, course: Course, ask: Ask, decision: Decision) -> web.StreamResponse:
        validating = decision.stored if decision.step is Step.VALIDATE else None
        course.departure = self._delivery.store.why_absent(ask.key)
        try:
            got = await self._delivery.fetcher.fetch(ask, validating, interim=relay_to(course.request))
        except (OriginUnreachable, OriginTimeout, OriginBroke, OriginFailed) as err:
            if (stale := await self._serve_stale(course, ask, decision, err)) is not None:
                return stale
            raise
        if isinstance(got, Private):
            course.outcome = Outcome.BYPASS
            return await self._send_private(course, ask, got, decision.forward)
        return await self._send_shared(course, ask, got, decision)

    async def _serve_stale(
        self, course: Course, ask: Ask, decision: Decision, err: DeliveryError
    ) -> web.StreamResponse | None:
        stored = decision.stored
        cause = StaleCause.SERVER_ERROR if isinstance(err, OriginFailed) else StaleCause.UNREACHABLE
        now_s = self._delivery.clock()
        if (
            stored is None
            or self._delivery.may_be_purged(stored)
            or not stale_allowed(stored, cause, now_s=now_s, default_s=self._settings.stale_on_unreachable_s)
        ):
            return None
        if stored.pinned_etag is None and not await self._delivery.shelves.has_all(stored):
            return None
        course.outcome = Outcome.HIT_STALE
        status = cache_status.hit(self._name, ttl_s=stored.ttl_s(now_s), detail=err.code)
        return await self._send(course, ask, stored, status)

    def _refresh_behind(self, ask: Ask, stored: StoredResponse) -> None:
        """stale-while-revalidate: one revalidation however many ask meanwhile (they join its flight)."""
        quiet = CIMultiDict((n, v) for n, v in ask.headers.items() if n.lower() not in ("range", "if-range"))
        behind = Ask(
            method="GET",
            target=ask.target,
            headers=quiet,
            directives=ask.directives,
            priority=Priority.READ_AHEAD,
        )
        self._delivery.refresh(behind, stored)

    # -- 6 answer ----------------------------------------------------------------------------------------------------

    async def _send_shared(self, course: Course, ask: Ask, got: Shared, decision: Decision) -> web.StreamResponse:
        if got.collapsed:
            self._delivery.tally.collapsed += 1
        course.outcome = _miss_outcome(course, got, decision)
        status = cache_status.forwarded(
            self._name,
            decision.forward,
            status=got.origin_status,
            ttl_s=got.stored.ttl_s(self._delivery.clock()),
            stored=got.kept,
            collapsed=got.collapsed,
        )
        return await self._send(course, ask, got.stored, status, fill=got.fill)

    async def _send(
        self, course: Course, ask: Ask, stored: StoredResponse, status: str, *, fill: BodyFill | None = None
    ) -> web.StreamResponse:
        self._check_access(course, stored)
        view = await self._delivery.coder.view(stored, ask)
        reply = answer(view.stored, ask, now_s=self._delivery.clock(), cache_status=status)
        cors.allow(reply.headers, self._settings.cors_origin)
        if self._settings.child_keys and ACCESS_FIELD in stored.headers:
            reply.headers[ACCESS_FIELD] = stored.headers[ACCESS_FIELD]  # the child has to guard it in turn
        self._tell_player(course, ask, reply.headers)
        response = await send(
            course.request,
            ask,
            reply,
            view.stored,
            source=self._delivery.source,
            fill=None if is_coded(view.stored.body_id) else fill,
            origin_headers=self._delivery.fetcher.origin_headers(ask.headers),
        )
        if view.is_lasting:
            self._make_ready(ask, stored, view.stored)
        return response

    def _make_ready(self, ask: Ask, stored: StoredResponse, seen: StoredResponse) -> None:
        """From now on the fast lane answers this target, if what is stored is still this."""
        if self._settings.child_keys:  # who asks a shield has to show a key each time
            return
        if not ask.target.path.startswith(self._settings.path_prefix) or stored not in self._delivery.store.index.get(
            ask.key
        ):
            return
        self._delivery.lane.promote(seen)

    def _tell_player(self, course: Course, ask: Ask, headers: CIMultiDict[str]) -> None:
        """CMSD-Dynamic for players that speak CMCD: nobody else reads it."""
        if ask.cmcd is NO_CMCD:
            return
        delay_ms = int((self._delivery.clock() - course.started_s) * 1000)
        item = cmsd.dynamic(self._settings.name, link_of(course.request.transport), response_delay_ms=delay_ms)
        headers[cmsd.FIELD] = ", ".join([*headers.popall(cmsd.FIELD, ()), item])

    def _check_access(self, course: Course, stored: StoredResponse) -> None:
        if not course.signed and stored.headers.get(ACCESS_FIELD, "").strip().lower() == "signed":
            course.outcome = Outcome.REFUSED
            raise Forbidden("this video needs a signed URL")

    async def _send_private(self, course: Course, ask: Ask, got: Private, forward: Forward) -> web.StreamResponse:
        """An answer that is not shared, straight through with back-pressure."""
        head = got.exchange.head
        try:
            headers = end_to_end(head.headers)
            if not course.signed and headers.get(ACCESS_FIELD, "").strip().lower() == "signed":
                course.outcome = Outcome.REFUSED
                raise Forbidden("this video needs a signed URL")
            if not self._settings.child_keys:
                headers.popall(ACCESS_FIELD, None)
            line = cache_status.forwarded(self._name, forward, status=head.status, detail=got.why)
            headers["Cache-Status"] = ", ".join([*headers.popall("Cache-Status", ()), line])
            cors.allow(headers, self._settings.cors_origin)
            response = EdgeResponse(status=head.status, reason=head.reason, headers=headers)
            await response.prepare(course.request)
            try:
                async for chunk in got.exchange.body():
                    await response.write(chunk)
            except DeliveryError:
                response.cut(course.request)
            await response.write_eof()
            return response
        finally:
            got.exchange.close()

    # -- methods that are not reads ----------------------------------------------------------------------------------

    async def _pass_through(self, course: Course, ask: Ask) -> web.StreamResponse:
        """Forward with its body; a success invalidates what is stored (RFC 9111 section 4.4)."""
        course.outcome = Outcome.BYPASS
        request = course.request
        has_body = request.body_exists
        if ask.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        headers = self._delivery.fetcher.sign(
            end_to_end(ask.headers, without=frozenset({"host", "content-length", "expect"}))
        )
        exchange = await self._delivery.ask_origin(
            OriginRequest(
                method=ask.method,
                target=ask.key,
                headers=headers,
                body=body_of(request, patience_s=self._settings.stalled_client_s) if has_body else None,
                body_length=request.content_length,
                interim=relay_to(request),
            )
        )
        if 200 <= exchange.head.status < 400:
            await self._invalidate(ask, exchange.head.headers)
        private = Private(exchange=exchange, why=Refusal.METHOD)
        return await self._send_private(course, ask, private, Forward.METHOD)

    async def _invalidate(self, ask: Ask, headers: CIMultiDict[str]) -> None:
        if ask.method in _SAFE:
            return
        keys = {ask.key}
        for name in ("Location", "Content-Location"):
            if (value := headers.get(name, "")).startswith("/"):
                keys.add(value)
        for key in keys:
            if self._delivery.fetcher.is_flying(key) or await self._delivery.store.find(key):
                await self._delivery.purge(PurgeOrder(seq=0, url=key))  # siblings have it too, and fetches under way
        for group in parse_list(", ".join(headers.getall("Cache-Group-Invalidation", ()))) or ():
            if isinstance(group.value, str):
                await self._delivery.purge(PurgeOrder(seq=0, tag=group.value))

    # -- prefetch ----------------------------------------------------------------------------------------------------

    async def prefetch_one(self, order: PrefetchOrder) -> int:
        """Bring an order's bytes in; 0 if they were all here. Raises DeliveryError."""
        target = parse_target(order.path)
        ask = Ask(
            method="GET",
            target=target,
            headers=CIMultiDict({"Accept": "*/*"}),
            directives=RequestDirectives(),
            priority=Priority.PREFETCH,
        )
        return await self._delivery.bring_in(ask, order.span)

    # -- 7 note ------------------------------------------------------------------------------------------------------

    def _problem(self, course: Course, err: PopreelError) -> web.StreamResponse:
        response = problem_response(err)
        detail = f"{self._name}; fwd=miss; detail={quote(err.code)}"
        response.headers["Cache-Status"] = detail
        cors.allow(response.headers, self._settings.cors_origin)
        return response

    def _note(self, course: Course, *, status: int, body_bytes: int) -> None:
        elapsed = self._delivery.clock() - course.started_s
        self._delivery.tally.note(course.outcome, status=status, body_bytes=body_bytes, seconds=elapsed)


def _miss_outcome(course: Course, got: Shared, decision: Decision) -> Outcome:
    if got.origin_status == 304:
        return Outcome.REVALIDATED
    if decision.stored is not None:
        return Outcome.MISS_EXPIRED
    if decision.forward is Forward.PARTIAL:
        return Outcome.MISS_EVICTED
    return _MISS_CLASS[course.departure]
