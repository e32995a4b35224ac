"""A change of a person reaches their videos: name, picture and badge in every item, and whether they are listed at all.

Accounts live on user shards, videos on video shards: this consumer of the log carries `user.changed` over. It reads the
account as it is now, so repeats and records out of date change nothing, and works in bounded transactions.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from foundation.ids import UserId
from foundation.stores.outbox import Record
from foundation.stores.postgres import Connection, Shards
from foundation.stores.shard_map import Family, shard_of
from origin.accounts.account_store import USER_CHANGED, Account, AccountStore
from origin.lifecycle.announcements import VIDEO_READY, refresh_creator

_BATCH = 100


class Creators:
    """Handler of a `LogConsumer`."""

    def __init__(self, shards: Shards, accounts: AccountStore) -> None:
        self._shards = shards
        self._accounts = accounts

    async def handle(self, records: Sequence[Record]) -> None:
        """Raises ShardUnavailable: the position stays and the records come again."""
        changed = dict.fromkeys(UserId(int(record.key)) for record in records if record.topic == USER_CHANGED)
        for user_id in changed:
            account = await self._accounts.find(user_id)
            if account is None or account.state != "active":  # the erasure takes the videos along
                await self._accounts.list_name(user_id, listed=False)
            else:
                await self._accounts.list_name(user_id, listed=not (account.hidden or account.teen))
                await self.refresh(account)
        for user_id in dict.fromkeys(_owners(records)):
            account = await self._accounts.find(user_id)
            if account is not None and account.hidden and user_id not in changed:
                await self.refresh(account)  # a video that came out while its person was being hidden

    async def refresh(self, account: Account) -> int:
        """Bring every video of the account in step with it; returns how many there are."""
        total = 0
        for name in self._shards.map.servers(Family.VIDEO):
            after = 0
            while found := await self._next(name, account.id, after):
                numbers = [shard_of(Family.VIDEO, video_id) for video_id in found]
                async with self._shards.write_many(Family.VIDEO, name, numbers) as connection:
                    await refresh_creator(connection, found, account.creator(), hidden=account.hidden)
                total += len(found)
                after = found[-1]
        return total

    async def _next(self, name: str, owner: UserId, after: int) -> list[int]:
        async with self._shards.servers[name].primary() as connection:
            return await _videos_after(connection, owner, after)


def _owners(records: Sequence[Record]) -> list[UserId]:
    """Of videos that came out."""
    ready = [msgspec.json.decode(record.payload) for record in records if record.topic == VIDEO_READY]
    return [UserId(int(video["ownerId"])) for video in ready]


async def _videos_after(connection: Connection, owner: UserId, after: int) -> list[int]:
    rows = await connection.fetch(
        """select id from videos where owner_id = $1 and id > $2 and state <> 'deleted' order by id limit $3""",
        owner,
        after,
        _BATCH,
    )
    return [row["id"] for row in rows]
