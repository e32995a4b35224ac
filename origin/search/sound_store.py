"""The sound library, in the control database."""

from __future__ import annotations

from foundation.stores.postgres import Shards
from foundation.wire.catalogue import Sound
from origin.errors import UnknownSound


class SoundStore:
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def get(self, sound_id: int) -> Sound:
        """Raises UnknownSound, also for a sound whose licence forbids use."""
        async with self._shards.control() as connection:
            row = await connection.fetchrow(
                "select id, title, artist from sounds where id = $1 and licence <> 'restricted'", sound_id
            )
        if row is None:
            raise UnknownSound(f"there is no sound {sound_id} to use")
        return Sound(id=str(row["id"]), title=row["title"], artist=row["artist"])
