"""Routes of the control plane: for PoPs and services under /internal/v1, for operators under /api/v1."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from control_plane.errors import PopAlive, UnknownPop, WrongPop
from control_plane.model_store import ModelStore
from control_plane.pop_store import PopStore
from control_plane.purge_store import CHANNEL, PurgeStore
from foundation.errors import BadInput
from foundation.http.endpoint import Access, Call, endpoint
from foundation.stores.listener import Listener
from foundation.wire import Wire
from foundation.wire.pops import PopDirective, PopHeartbeat, PopView, PurgeLog, PurgeReceipt, PurgeRequest

MAX_PURGES = 1000
_NAMES_SOMETHING = {
    "anyOf": [{"required": [name], "properties": {name: {"minItems": 1}}} for name in ("urls", "prefixes", "tags")]
}


class LogQuery(Wire, frozen=True, kw_only=True):
    after: Annotated[int, Meta(ge=0)] = 0
    wait_ms: Annotated[int, Meta(ge=0, le=30_000)] = 0


class PopWish(Wire, frozen=True, kw_only=True):
    state: Literal["active", "draining"]


class PopRoutes:
    def __init__(self, pops: PopStore, models: ModelStore) -> None:
        self._pops = pops
        self._models = models

    @endpoint(
        "PUT",
        "/internal/v1/pops/{pop_id}",
        summary="Heartbeat of a PoP",
        body=PopHeartbeat,
        reply=PopDirective,
        access=Access.SERVICE,
        problems=(WrongPop,),
    )
    async def heartbeat(self, call: Call[PopHeartbeat]) -> PopDirective:
        name = call.path("pop_id")
        if call.body.pop_id != name:
            raise BadInput("popId in the body is not the one in the path")
        if call.caller is not None and call.caller.service != name:
            raise WrongPop(f"this key is not the key of {name[:64]}")
        directive = await self._pops.report(call.body)
        rollout, stopped = await self._models.directive(call.body)
        return msgspec.structs.replace(directive, rollout=rollout, stopped_arms=stopped)

    @endpoint("GET", "/internal/v1/pops", summary="The registry", reply=tuple[PopView, ...], access=Access.SERVICE)
    async def registry(self, call: Call[None]) -> tuple[PopView, ...]:
        return await self._pops.views()

    @endpoint(
        "GET",
        "/api/v1/pops",
        summary="PoPs: state, cache, catalogue position, spooled events",
        reply=tuple[PopView, ...],
        access=Access.OPERATOR,
    )
    async def list_pops(self, call: Call[None]) -> tuple[PopView, ...]:
        return await self._pops.views()

    @endpoint(
        "PUT",
        "/api/v1/pops/{pop_id}/state",
        summary="Drain a PoP or take it back",
        body=PopWish,
        status=204,
        access=Access.OPERATOR,
        path_schemas={"pop_id": {"minLength": 1}},
        problems=(UnknownPop,),
    )
    async def set_pop_state(self, call: Call[PopWish]) -> None:
        operator = call.caller.operator if call.caller else ""
        await self._pops.want(call.path("pop_id"), call.body.state, operator=operator)

    @endpoint(
        "DELETE",
        "/api/v1/pops/{pop_id}",
        summary="Forget a PoP that is lost for good",
        status=204,
        access=Access.OPERATOR,
        path_schemas={"pop_id": {"minLength": 1}},
        problems=(UnknownPop, PopAlive),
    )
    async def forget_pop(self, call: Call[None]) -> None:
        """One that comes back after all registers itself and applies the purges it missed."""
        await self._pops.forget(call.path("pop_id"), operator=call.caller.operator if call.caller else "")


class PurgeRoutes:
    def __init__(self, purges: PurgeStore, listener: Listener) -> None:
        self._purges = purges
        self._listener = listener

    @endpoint(
        "GET",
        "/internal/v1/purges",
        summary="Purge orders after a position (long poll)",
        query=LogQuery,
        reply=PurgeLog,
        access=Access.SERVICE,
    )
    async def follow_purges(self, call: Call[None]) -> PurgeLog:
        query: LogQuery = call.query
        deadline_s = asyncio.get_running_loop().time() + query.wait_ms / 1000
        async with self._listener.watch(CHANNEL) as watch:
            while True:
                log = await self._purges.after(query.after)
                left_s = deadline_s - asyncio.get_running_loop().time()
                if log.orders or left_s <= 0:
                    return log
                await watch.changed(timeout_s=left_s)

    @endpoint(
        "POST",
        "/internal/v1/purges",
        summary="Order a purge",
        body=PurgeRequest,
        reply=PurgeReceipt,
        status=202,
        access=Access.SERVICE,
    )
    async def order_purge(self, call: Call[PurgeRequest]) -> PurgeReceipt:
        return await self._order(call.body, issued_by=call.caller.service if call.caller else "")

    @endpoint(
        "POST",
        "/api/v1/purges",
        summary="Order a purge by URL, prefix or tag at every PoP",
        body=Annotated[PurgeRequest, Meta(extra_json_schema=_NAMES_SOMETHING)],
        reply=PurgeReceipt,
        status=202,
        access=Access.OPERATOR,
    )
    async def operator_purge(self, call: Call[PurgeRequest]) -> PurgeReceipt:
        return await self._order(call.body, issued_by=call.caller.operator if call.caller else "")

    @endpoint(
        "GET",
        "/api/v1/purges/{seq}",
        summary="Which PoPs have applied all orders up to this one",
        reply=PurgeReceipt,
        access=Access.OPERATOR,
    )
    async def purge_receipt(self, call: Call[None]) -> PurgeReceipt:
        return await self._purges.receipt(call.path_id("seq"))

    async def _order(self, request: PurgeRequest, *, issued_by: str) -> PurgeReceipt:
        wanted = (*request.urls, *request.prefixes, *request.tags)
        if not 1 <= len(wanted) <= MAX_PURGES:
            raise BadInput(f"name 1 to {MAX_PURGES} urls, prefixes and tags in all")
        if any(not path.startswith("/") for path in (*request.urls, *request.prefixes)):
            raise BadInput("urls and prefixes are root-relative paths: they begin with a slash")
        if any(not tag or len(tag) > 128 for tag in request.tags):
            raise BadInput("a tag has 1 to 128 characters")
        seq = await self._purges.append(msgspec.structs.replace(request), issued_by=issued_by)
        return await self._purges.receipt(seq, orders=len(wanted))
