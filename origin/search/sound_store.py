"""The sound library, in the control database."""

from __future__ import annotations

from dataclasses import dataclass

from foundation.stores.postgres import Shards
from foundation.wire.catalogue import Sound
from origin.errors import UnknownSound


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundHit:
    """A sound of the library; `score` is its sort key in the list it came from."""

    id: int
    title: str
    artist: str
    duration_ms: int
    licence: str
    uses: int
    score: int


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

    async def add(self, sound_id: int, *, title: str, artist: str, duration_ms: int, licence: str) -> None:
        async with self._shards.control() as connection:
            await connection.execute(
                """insert into sounds (id, title, artist, duration_ms, licence) values ($1, $2, $3, $4, $5)
                   on conflict (id) do update set title = excluded.title, artist = excluded.artist,
                       duration_ms = excluded.duration_ms, licence = excluded.licence""",
                sound_id,
                title,
                artist,
                duration_ms,
                licence,
            )

    async def search(self, text: str, *, after: tuple[int, int] | None, limit: int) -> list[SoundHit]:
        """Best match first, or most used first without text. `after`: sort key of the last one shown."""
        score, last_id = after or (2**31 - 1, 2**63 - 1)
        async with self._shards.control() as connection, connection.transaction(readonly=True):
            await connection.execute("set local pg_trgm.word_similarity_threshold = 0.45")
            rows = await connection.fetch(
                _SEARCH if text else _POPULAR, score, last_id, limit, *([text] if text else [])
            )
        return [SoundHit(**dict(row)) for row in rows]

    async def describe(self, sound_id: int) -> SoundHit:
        """Raises UnknownSound."""
        async with self._shards.control() as connection:
            row = await connection.fetchrow(
                f"select {_COLUMNS}, 0 as score from sounds where id = $1",  # noqa: S608
                sound_id,
            )
        if row is None:
            raise UnknownSound(f"there is no sound {sound_id}")
        return SoundHit(**dict(row))


_COLUMNS = "id, title, artist, duration_ms, licence, uses"
_SEARCH = f"""
select * from (
    select {_COLUMNS}, (1000 * word_similarity($4, lower(title || ' ' || artist)))::int as score
    from sounds where $4 <% lower(title || ' ' || artist) and licence <> 'restricted' limit 2000) found
where (score, id) < ($1, $2) order by score desc, id desc limit $3"""  # noqa: S608
_POPULAR = f"""
select {_COLUMNS}, least(uses, 2147483646)::int as score from sounds
where licence <> 'restricted' and (uses, id) < ($1, $2) order by uses desc, id desc limit $3"""  # noqa: S608
