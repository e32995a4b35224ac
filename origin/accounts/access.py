"""The questions every route asks about its caller and about two people: banned, blocked, following."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from foundation.http.endpoint import Call
from foundation.ids import UserId
from foundation.stores.postgres import Connection, Shards
from foundation.stores.shard_map import Family
from origin.accounts.account_store import Account, AccountStore
from origin.errors import AccountBanned, Blocked


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """How `viewer` stands to `owner`."""

    same: bool = False
    following: bool = False
    blocked: bool = False
    """Either of them has blocked the other."""


# $1 the viewer, $2 the owner. Each of the two keeps what it decided on its own shard.
_MINE = """
exists (select 1 from restrictions where user_id = $1::bigint and target_id = $2::bigint and kind = 'block') as blocks,
exists (select 1 from follows where follower_id = $1 and followee_id = $2 and accepted) as follows"""
_THEIRS = """
exists (select 1 from restrictions where user_id = $2::bigint and target_id = $1::bigint and kind = 'block')
    as blocked"""


_HIDDEN = """
select target_id as hidden from restrictions where user_id = $1
union select user_id from restrictions where target_id = $1 and kind = 'block'"""


class AccessStore:
    def __init__(self, shards: Shards, accounts: AccountStore) -> None:
        self._shards = shards
        self._accounts = accounts

    async def actor(self, call: Call[Any]) -> Account:
        """The caller's account, for an action. Raises Unauthenticated, UnknownUser, AccountBanned."""
        account = await self._accounts.get(call.user())
        if account.banned:
            raise AccountBanned("this account is banned; appeal by replying to the notice you received")
        return account

    async def relation(self, viewer: UserId | None, owner: UserId) -> Relation:
        if viewer is None:
            return Relation()
        if viewer == owner:
            return Relation(same=True)
        servers = self._shards.by_server(Family.USER, (viewer, owner))
        if len(servers) == 1:
            async with self._shards.read(Family.USER, viewer) as connection:
                row = await connection.fetchrow(f"select {_MINE}, {_THEIRS}", viewer, owner)
            return Relation(following=row["follows"], blocked=row["blocks"] or row["blocked"])
        async with self._shards.read(Family.USER, viewer) as connection:
            mine = await connection.fetchrow(f"select {_MINE}", viewer, owner)
        async with self._shards.read(Family.USER, owner) as connection:
            blocked = await connection.fetchval(f"select {_THEIRS}", viewer, owner)
        return Relation(following=mine["follows"], blocked=mine["blocks"] or blocked)

    async def refuse_blocked(self, viewer: UserId, owner: UserId) -> Relation:
        """The relation, unless one has blocked the other. Raises Blocked."""
        relation = await self.relation(viewer, owner)
        if relation.blocked:
            raise Blocked("one of you has blocked the other")
        return relation

    async def restricted(self, user_id: UserId) -> frozenset[UserId]:
        """Whom lists do not show to the user: the blocked and muted, and who has blocked the user.

        Blocks by people on a server that is away are missed; opening what they made is refused all the same.
        """

        async def ask(name: str, connection: Connection) -> list[int]:
            return [row["hidden"] for row in await connection.fetch(_HIDDEN, user_id)]

        scattered = await self._shards.scatter(ask, family=Family.USER, fresh=True)
        return frozenset(UserId(hidden) for found in scattered.answers for hidden in found)
