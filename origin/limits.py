"""Rate limits and daily quotas as routes use them, and the RateLimit headers that announce them.

Headers follow draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy: "likes";q=500;w=86400` and
`RateLimit: "likes";r=499;t=3600`. They are put on whatever answer the request gets, also a 429.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from foundation.http.guard import client_address
from foundation.ids import UserId
from foundation.settings import Secret
from foundation.stores.errors import HotStateUnavailable
from foundation.stores.valkey import RateLimiter, Verdict
from origin.errors import QuotaExceeded, TooFast
from origin.settings import TierLimits

_PICTURES_PER_MINUTE = 20
_VERDICTS: web.RequestKey[dict[str, Verdict]] = web.RequestKey("rate_limits", dict)


class Limits:
    def __init__(
        self,
        limiter: RateLimiter,
        *,
        tiers: dict[str, TierLimits],
        requests_per_minute: int,
        logins_per_minute: int,
        service_keys: Mapping[str, Secret],
        clock_s: Callable[[], float],
    ) -> None:
        """service_keys: of those whose word on a client's address is taken."""
        self._limiter = limiter
        self._tiers = tiers
        self._requests_per_minute = requests_per_minute
        self._logins_per_minute = logins_per_minute
        self._service_keys = service_keys
        self._clock_s = clock_s

    async def daily(self, request: web.Request, *, what: str, user_id: UserId, tier: str) -> None:
        """Count one `what` ("uploads", "likes", "follows", "comments") of today. Raises QuotaExceeded."""
        limits = self._tiers.get(tier) or self._tiers["free"]
        limit: int = getattr(limits, what)
        verdict = await self._limiter.take_daily(what=what, who=str(user_id), limit=limit, now_s=self._clock_s())
        _note(request, what, verdict)
        if not verdict.allowed:
            raise QuotaExceeded(
                f"{limit} {what} a day are allowed for tier {tier!r}; the count starts again at 00:00 UTC",
                retry_after_s=verdict.reset_s,
                limit=limit,
                window="day",
            )

    async def look(self, request: web.Request, *, what: str, user_id: UserId, tier: str) -> Verdict:
        """How much of today's `what` is left, announced but not counted."""
        limit: int = getattr(self._tiers.get(tier) or self._tiers["free"], what)
        verdict = await self._limiter.look_daily(what=what, who=str(user_id), limit=limit, now_s=self._clock_s())
        _note(request, what, verdict)
        return verdict

    @asynccontextmanager
    async def counted(self, request: web.Request, *, what: str, user_id: UserId, tier: str) -> AsyncIterator[None]:
        """As `daily` around what is counted: if that fails, it was none. Raises QuotaExceeded."""
        await self.daily(request, what=what, user_id=user_id, tier=tier)
        try:
            yield
        except BaseException:
            with suppress(HotStateUnavailable):
                await self._limiter.give_back(what=what, who=str(user_id), now_s=self._clock_s())
            raise

    async def action(self, request: web.Request, *, user_id: UserId) -> None:
        """One mutating request of a user. Raises TooFast."""
        await self._bucket(request, what="actions", who=str(user_id), per_minute=self._requests_per_minute)

    async def picture(self, request: web.Request, *, user_id: UserId) -> None:
        """One picture to be decoded, which costs a process. Raises TooFast."""
        await self._bucket(request, what="pictures", who=str(user_id), per_minute=_PICTURES_PER_MINUTE)

    async def login(self, request: web.Request, *, name: str) -> None:
        """One sign-in try, counted by address and by name: neither many names nor many addresses help a guesser."""
        await self._bucket(
            request,
            what="login-address",
            who=client_address(request, self._service_keys),
            per_minute=self._logins_per_minute,
        )
        await self._bucket(request, what="login-name", who=name, per_minute=self._logins_per_minute)

    async def _bucket(self, request: web.Request, *, what: str, who: str, per_minute: int) -> None:
        verdict = await self._limiter.take_token(
            what=what, who=who, per_minute=per_minute, burst=max(1, per_minute // 2)
        )
        _note(request, what, verdict)
        if not verdict.allowed:
            raise TooFast("slow down: too many requests in a short time", retry_after_s=verdict.reset_s)


def _note(request: web.Request, what: str, verdict: Verdict) -> None:
    if _VERDICTS not in request:
        request[_VERDICTS] = {}
    request[_VERDICTS][what] = verdict


async def announce_limits(request: web.Request, response: web.StreamResponse) -> None:
    """`on_response_prepare` signal: the limits this request met."""
    verdicts = request.get(_VERDICTS, {})
    if verdicts:
        response.headers["RateLimit-Policy"] = ", ".join(
            f'"{what}";q={verdict.limit};w={verdict.window_s}' for what, verdict in verdicts.items()
        )
        response.headers["RateLimit"] = ", ".join(
            f'"{what}";r={verdict.remaining};t={verdict.reset_s}' for what, verdict in verdicts.items()
        )
