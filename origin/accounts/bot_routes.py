"""What operators see of a bot score, and their override."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from foundation.http.endpoint import Access, Call, endpoint
from foundation.ids import UserId
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family
from foundation.wire import Wire
from origin.accounts.bot_job import BotJob
from origin.accounts.bot_score import WEIGHTS, Parts
from origin.audit import act_of, note
from origin.errors import UnknownUser
from origin.text import clean_text


class BotScoreView(Wire, frozen=True, kw_only=True):
    user_id: str
    score: float
    """Weighted sum of the parts; above 0.8 the account is shadow-banned, below 0.6 that is lifted."""
    parts: dict[str, float]
    """0 (a person) to 1 each: posting, watching, engagement, device, profile."""
    weights: dict[str, float]
    shadow_banned: bool
    override: Literal["on", "off"] | None
    scored_at_ms: int | None


class BotOverride(Wire, frozen=True, kw_only=True):
    override: Literal["on", "off", "auto"]
    """"auto": the score decides."""
    reason: Annotated[str, Meta(min_length=3, max_length=500)]


class BotRoutes:
    def __init__(self, *, shards: Shards, job: BotJob) -> None:
        self._shards = shards
        self._job = job

    @endpoint(
        "GET",
        "/api/v1/admin/users/{userId}/bot-score",
        summary="The bot score of an account and what it is made of",
        reply=BotScoreView,
        access=Access.OPERATOR,
        problems=(UnknownUser,),
    )
    async def bot_score(self, call: Call[None]) -> BotScoreView:
        return await self._view(UserId(call.path_id("userId")))

    @endpoint(
        "POST",
        "/api/v1/admin/users/{userId}/bot-score",
        summary="Decide on a shadow ban whatever the score says, or leave it to the score",
        body=BotOverride,
        reply=BotScoreView,
        access=Access.OPERATOR,
        problems=(UnknownUser,),
    )
    async def override_bot_score(self, call: Call[BotOverride]) -> BotScoreView:
        """Judged again at once; audited."""
        user_id, body = UserId(call.path_id("userId")), call.body
        detail = {"override": body.override, "reason": clean_text(body.reason)}
        async with self._shards.write(Family.USER, user_id) as connection:
            known = await connection.fetchval(
                """update users set shadow_override = nullif($2, 'auto')
                   where id = $1 and state = 'active' returning true""",
                user_id,
                body.override,
            )
            if not known:
                raise UnknownUser(f"there is no user {user_id}")
            await note(connection, act_of(call, "override-bot-score", f"user:{user_id}", detail))
        await self._job.judge([user_id])
        return await self._view(user_id)

    async def _view(self, user_id: UserId) -> BotScoreView:
        async with self._shards.read(Family.USER, user_id) as connection:
            row = await connection.fetchrow(
                """select bot_score, bot_parts, shadow_banned, shadow_override, bot_scored_at from users
                   where id = $1 and state = 'active'""",
                user_id,
            )
        if row is None:
            raise UnknownUser(f"there is no user {user_id}")
        parts = msgspec.json.decode(row["bot_parts"], type=Parts)
        return BotScoreView(
            user_id=str(user_id),
            score=round(row["bot_score"], 4),
            parts=msgspec.structs.asdict(parts),
            weights=WEIGHTS,
            shadow_banned=row["shadow_banned"],
            override=row["shadow_override"],
            scored_at_ms=int(row["bot_scored_at"].timestamp() * 1000) if row["bot_scored_at"] else None,
        )
