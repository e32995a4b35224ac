"""Leaving (erasure, export), and what operators decide of an account; every act of an operator is audited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from foundation.http.endpoint import Access, Call, endpoint
from foundation.ids import UserId
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family
from foundation.wire import Wire
from origin.accounts.account_store import AccountStore, announce_change
from origin.accounts.erasure import Erasure, Receipt, export
from origin.accounts.passwords import Passwords
from origin.accounts.session_store import EndReason, end_every_session
from origin.audit import act_of, note
from origin.errors import TooFast, UnknownUser, WrongPassword
from origin.limits import Limits
from origin.text import clean_text

_EXPORTS_AT_ONCE = 2
_EXPORT_S = 600.0


class Leave(Wire, frozen=True, kw_only=True):
    password: Annotated[str, Meta(max_length=256)] = ""
    """Required for an account that has one."""


class UserDecision(Wire, frozen=True, kw_only=True):
    """What an operator decides of an account; members left out stay."""

    banned: bool | None = None
    verified: bool | None = None
    tier: Literal["free", "verified", "creator"] | None = None
    reason: Annotated[str, Meta(min_length=3, max_length=500)]


class ErasureView(Wire, frozen=True, kw_only=True):
    user_id: str
    state: str
    """active, deleted (erasure under way) or erased."""
    receipts: tuple[Receipt, ...]


class AdminRoutes:
    def __init__(
        self,
        *,
        shards: Shards,
        accounts: AccountStore,
        passwords: Passwords,
        erasure: Erasure,
        limits: Limits,
        clock_s: Callable[[], float],
    ) -> None:
        self._shards = shards
        self._accounts = accounts
        self._passwords = passwords
        self._erasure = erasure
        self._limits = limits
        self._exports = asyncio.Semaphore(_EXPORTS_AT_ONCE)
        self._clock_s = clock_s

    @endpoint(
        "POST",
        "/api/v1/users/me/delete",
        summary="Delete the account and everything of it",
        body=Leave,
        status=202,
        reply=ErasureView,
        access=Access.USER,
        problems=(WrongPassword, TooFast),
    )
    async def leave(self, call: Call[Leave]) -> ErasureView:
        """Gone for everybody at once; erased step by step, each with a receipt. There is no way back."""
        account = await self._accounts.get(call.user())
        await self._limits.login(call.request, name=account.username)  # a password may be guessed here as well
        if account.password_hash and not await self._passwords.verify(account.password_hash, call.body.password):
            raise WrongPassword("the password is wrong")
        await self._erasure.begin(account.id, now_ms=int(self._clock_s() * 1000))
        return await self._view(account.id)

    @endpoint(
        "GET",
        "/api/v1/users/me/export",
        summary="Everything kept about me, as NDJSON",
        reply="one JSON object a line, `record` says what it is",
        reply_type="application/x-ndjson",
        access=Access.USER,
        problems=(TooFast,),
    )
    async def export(self, call: Call[None]) -> web.StreamResponse:
        account = await self._accounts.get(call.user())
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/x-ndjson",
                "Content-Disposition": f'attachment; filename="popreel-{account.username}.ndjson"',
                "Cache-Control": "no-store",
            }
        )
        # Each holds a database connection for as long as its reader takes.
        if self._exports.locked():
            raise TooFast("too many exports are being read at this moment, try again", retry_after_s=10)
        async with self._exports, asyncio.timeout(_EXPORT_S):
            await response.prepare(call.request)
            async for line in export(self._shards, account.id):
                await response.write(line)
        await response.write_eof()
        return response

    @endpoint(
        "POST",
        "/api/v1/admin/users/{userId}",
        summary="Ban, verify or change the tier of an account",
        body=UserDecision,
        status=204,
        access=Access.OPERATOR,
        problems=(UnknownUser,),
    )
    async def decide(self, call: Call[UserDecision]) -> None:
        """A ban ends every session at every PoP within seconds."""
        body = call.body
        user_id = UserId(call.path_id("userId"))
        await self._accounts.get(user_id)
        decided = {**msgspec.structs.asdict(body), "reason": clean_text(body.reason)}
        async with self._shards.write(Family.USER, user_id) as connection:
            await connection.execute(
                """update users set verified = coalesce($2, verified), tier = coalesce($3, tier),
                       banned_at = case when $4::boolean is null then banned_at when $4 then now() end
                   where id = $1""",
                user_id,
                body.verified,
                body.tier,
                body.banned,
            )
            await announce_change(connection, user_id)
            if body.banned:
                now_ms = int(self._clock_s() * 1000)
                await end_every_session(connection, user_id, EndReason.BANNED, now_ms=now_ms)
            await note(connection, act_of(call, "decide-user", f"user:{user_id}", decided))

    @endpoint(
        "GET",
        "/api/v1/admin/users/{userId}/erasure",
        summary="Receipts of an erasure",
        reply=ErasureView,
        access=Access.OPERATOR,
        problems=(UnknownUser,),
    )
    async def receipts(self, call: Call[None]) -> ErasureView:
        return await self._view(UserId(call.path_id("userId")))

    async def _view(self, user_id: UserId) -> ErasureView:
        account = await self._accounts.find(user_id)
        if account is None:
            raise UnknownUser(f"there is no user {user_id}")
        return ErasureView(user_id=str(user_id), state=account.state, receipts=await self._erasure.receipts(user_id))
