"""What a PoP's feed needs to know of a user: whom they follow, and with whom there is a block or mute."""

from __future__ import annotations

from foundation.http.endpoint import Access, Call, endpoint
from foundation.ids import UserId
from foundation.stores.postgres import Connection, Shards
from foundation.stores.shard_map import Family
from foundation.wire.relations import MAX_FOLLOWING, UserRelations

_MAX_BLOCKED = 5000
_FOLLOWING = """
select followee_id from follows where follower_id = $1 and accepted order by created_at desc limit $2"""
_RESTRICTED = "select target_id from restrictions where user_id = $1 order by created_at desc limit $2"
_BLOCKED_BY = "select user_id from restrictions where target_id = $1 and kind = 'block' limit $2"


class RelationRoutes:
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    @endpoint(
        "GET",
        "/internal/v1/users/{userId}/relations",
        summary="Follows and blocks of a user, for a PoP's feed",
        reply=UserRelations,
        access=Access.SERVICE,
    )
    async def relations(self, call: Call[None]) -> UserRelations:
        """A user nobody knows has no relations. Blocks by users on a server that is away are left out."""
        user_id = UserId(call.path_id("userId"))
        async with self._shards.read(Family.USER, user_id) as connection:
            following = await connection.fetch(_FOLLOWING, user_id, MAX_FOLLOWING)
            restricted = await connection.fetch(_RESTRICTED, user_id, _MAX_BLOCKED)
        blocked = {row["target_id"] for row in restricted} | await self._blocked_by(user_id)
        return UserRelations(
            following=tuple(str(row["followee_id"]) for row in following),
            blocked=tuple(str(blocker) for blocker in sorted(blocked)),
        )

    async def _blocked_by(self, user_id: UserId) -> set[int]:
        async def ask(server: str, connection: Connection) -> list[int]:
            return [row["user_id"] for row in await connection.fetch(_BLOCKED_BY, user_id, _MAX_BLOCKED)]

        scattered = await self._shards.scatter(ask, family=Family.USER)
        return {blocker for found in scattered.answers for blocker in found}
