"""The periodic job of bot scores: claims accounts that are due, judges them, acts when a decision changes.

Any number of processes share the work: claiming moves `bot_scored_at` in the row, under SKIP LOCKED. A decision is a
row of the audit log with its parts, and a `user.changed` record: the consumer `creators` takes the videos out of
catalogue, search and hashtags, or puts them back. The account itself is told nothing and sees its own as before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from foundation.errors import PopreelError
from foundation.ids import UserId
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family
from origin.accounts.account_store import announce_change
from origin.accounts.bot_evidence import gather
from origin.accounts.bot_score import Evidence, Parts, parts_of, shadow_banned
from origin.audit import Act, note

_log = logging.getLogger(__name__)
_BATCH = 100
_IDLE_S = 30.0
_PAUSE_S = 0.05

_CLAIM = """
update users set bot_scored_at = now() where id in (
    select id from users where state = 'active'
        and (bot_scored_at is null or bot_scored_at < now() - make_interval(secs => $1))
    order by bot_scored_at nulls first limit $2 for update skip locked)
returning id"""


class BotJob:
    def __init__(self, shards: Shards, *, every_s: float, clock_s: Callable[[], float]) -> None:
        self._shards = shards
        self._every_s = every_s
        self._clock_s = clock_s

    async def run(self) -> None:
        """A pause after each batch: requests come first."""
        idle_s = min(_IDLE_S, self._every_s)
        while True:
            judged = 0
            try:
                judged = await self.judge_batch()
            except PopreelError as err:
                _log.warning("bot scores paused", extra={"event": "bot_scores_paused", "cause": err.detail})
            await asyncio.sleep(_PAUSE_S if judged else idle_s)

    async def judge_batch(self) -> int:
        """Judge accounts that are due, a batch of each server; returns how many. Raises ShardUnavailable."""
        judged = 0
        for name in self._shards.map.servers(Family.USER):
            async with self._shards.servers[name].primary() as connection:
                due = [row["id"] for row in await connection.fetch(_CLAIM, self._every_s, _BATCH)]
            judged += len(await self.judge(due)) if due else 0
        return judged

    async def judge(self, user_ids: list[int]) -> dict[int, Parts]:
        evidence = await gather(self._shards, user_ids, now_s=self._clock_s())
        judged = {}
        for user_id, found in evidence.items():
            judged[user_id] = await self._record(UserId(user_id), found)
        return judged

    async def _record(self, user_id: UserId, evidence: Evidence) -> Parts:
        parts = parts_of(evidence)
        async with self._shards.write(Family.USER, user_id) as connection:
            row = await connection.fetchrow(
                "select shadow_banned, shadow_override from users where id = $1 and state = 'active' for update",
                user_id,
            )
            if row is None:
                return parts
            banned = shadow_banned(score=parts.score, now=row["shadow_banned"], override=row["shadow_override"])
            await connection.execute(
                """update users set bot_score = $2, bot_parts = $3, shadow_banned = $4, bot_scored_at = now()
                   where id = $1""",
                user_id,
                parts.score,
                msgspec.json.encode(parts).decode(),
                banned,
            )
            if banned != row["shadow_banned"]:
                await announce_change(connection, user_id)
                await note(connection, _decision(user_id, parts, banned=banned))
        return parts


def _decision(user_id: UserId, parts: Parts, *, banned: bool) -> Act:
    return Act(
        operator="bot-scores",
        action="shadow-ban" if banned else "lift-shadow-ban",
        subject=f"user:{user_id}",
        detail={"score": parts.score, "parts": msgspec.structs.asdict(parts)},
    )
