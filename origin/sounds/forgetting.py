"""What a deleted video leaves with others: a sound in the library, and a name on the videos that were made with it."""

from __future__ import annotations

from dataclasses import dataclass

from foundation.stores.postgres import Connection, Shards
from foundation.stores.shard_map import Family, shard_of
from origin.accounts.account_store import AccountStore
from origin.lifecycle.announcements import upsert_item
from origin.lifecycle.video import COLUMNS, video_of

_BATCH = 100
_NAMING = "select id from videos where sound_id = $1 and sound_artist <> '' order by id limit $2"
_UNNAME = f"update videos v set sound_artist = '' where id = any($1) returning {COLUMNS}"  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundForgetting:
    shards: Shards
    accounts: AccountStore

    async def forget(self, video_id: int) -> int | None:
        """Take the video's sound out of the library; returns its id, None if it has none. Raises ShardUnavailable.

        The name goes first: after a crash in between, the sound is still here to say where the name stands.
        """
        async with self.shards.control() as connection:
            sound_id: int | None = await connection.fetchval(
                "select id from sounds where source_video_id = $1", video_id
            )
        if sound_id is None:
            return None
        await self.unname(sound_id)
        async with self.shards.control() as connection, connection.transaction():
            await connection.execute("delete from sounds where id = $1", sound_id)
            await connection.execute("delete from sound_uses where sound_id = $1", sound_id)
        return sound_id

    async def unname(self, sound_id: int) -> None:
        """Videos made with the sound keep its title and lose the name of who made it, at PoPs too.

        Idempotent. Raises ShardUnavailable: what is done stays done.
        """
        for name in self.shards.map.servers(Family.VIDEO):
            while found := await self._naming(name, sound_id):
                numbers = [shard_of(Family.VIDEO, video_id) for video_id in found]
                async with self.shards.write_many(Family.VIDEO, name, numbers) as connection:
                    await self._unname(connection, found)

    async def _naming(self, name: str, sound_id: int) -> list[int]:
        async with self.shards.servers[name].primary() as connection:
            return [row["id"] for row in await connection.fetch(_NAMING, sound_id, _BATCH)]

    async def _unname(self, connection: Connection, video_ids: list[int]) -> None:
        """Accounts are read while the rows are locked: whoever changes one later finds these rows, and writes later."""
        videos = [video_of(row) for row in await connection.fetch(_UNNAME, video_ids)]
        for video in videos:
            owner = await self.accounts.find(video.owner_id) if video.in_catalogue else None
            if owner is not None and owner.state == "active":
                await upsert_item(connection, video, owner.creator())
