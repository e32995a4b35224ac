"""The sound library, in the control database."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from foundation.ids import VideoId
from foundation.stores.job_queue import enqueue
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family
from foundation.wire.catalogue import Sound
from origin.audit import Act, note
from origin.errors import StateConflict, UnknownSound
from packager.events import SoundPrepared

SOUND_JOB = "sound"


class SoundState(StrEnum):
    """Of a sound's file. Only a `ready` one can be heard and mixed; any sound can label a video."""

    ABSENT = "absent"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarySound:
    """A row of `sounds`; `score` is its sort key in the list it came from."""

    id: int
    title: str
    artist: str
    duration_ms: int
    licence: str
    uses: int
    state: SoundState
    object_key: str | None
    size_bytes: int
    error: str | None
    source_video_id: VideoId | None
    score: int = 0

    @property
    def label(self) -> Sound:
        return Sound(id=str(self.id), title=self.title, artist=self.artist)


class SoundStore:
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def find(self, sound_id: int) -> LibrarySound | None:
        async with self._shards.control() as connection:
            row = await connection.fetchrow(f"select {_COLUMNS} from sounds where id = $1", sound_id)  # noqa: S608
        return _sound(row) if row is not None else None

    async def describe(self, sound_id: int) -> LibrarySound:
        """Raises UnknownSound."""
        sound = await self.find(sound_id)
        if sound is None:
            raise UnknownSound(f"there is no sound {sound_id}")
        return sound

    async def get(self, sound_id: int) -> LibrarySound:
        """Raises UnknownSound, also for a sound whose licence forbids use."""
        sound = await self.find(sound_id)
        if sound is None or sound.licence == "restricted":
            raise UnknownSound(f"there is no sound {sound_id} to use")
        return sound

    async def add(self, sound_id: int, *, title: str, artist: str, duration_ms: int, licence: str, act: Act) -> None:
        async with self._shards.control() as connection, connection.transaction():
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
            await note(connection, act)

    async def search(self, text: str, *, after: tuple[int, int] | None, limit: int) -> list[LibrarySound]:
        """Best match first, or most used first without text. `after`: sort key of the last one shown."""
        score, last_id = after or (2**31 - 1, 2**63 - 1)
        async with self._shards.control() as connection, connection.transaction(readonly=True):
            await connection.execute("set local pg_trgm.word_similarity_threshold = 0.45")
            rows = await connection.fetch(
                _SEARCH if text else _POPULAR, score, last_id, limit, *([text] if text else [])
            )
        return [_sound(row) for row in rows]

    # -- the file of a sound

    async def received(self, sound_id: int, *, original_key: str, act: Act) -> None:
        """A file has arrived: the job that prepares it commits with the new state. The old file serves meanwhile.

        Raises UnknownSound, StateConflict.
        """
        async with self._shards.control() as connection, connection.transaction():
            known = await connection.fetchval(
                """update sounds set error = null, state = case when object_key is null then 'processing' else state end
                   where id = $1 and source_video_id is null returning id""",
                sound_id,
            )
            if known is None:
                raise UnknownSound(f"there is no sound {sound_id} that takes a file")
            queued = await enqueue(
                connection,
                kind=SOUND_JOB,
                key=str(sound_id),
                family=Family.VIDEO,
                snowflake=sound_id,
                payload={"original": original_key},
            )
            if not queued:
                raise StateConflict("a file of this sound is being prepared: wait until it is done")
            await note(connection, act)

    async def prepared(self, sound_id: int, made: SoundPrepared, *, object_key: str) -> None:
        """Serve `object_key` from now on; nothing if the sound is gone."""
        async with self._shards.control() as connection:
            await connection.execute(
                """update sounds set state = 'ready', error = null, object_key = $2, size_bytes = $3, duration_ms = $4,
                       loudness_lufs = $5, fingerprint = $6 where id = $1""",
                sound_id,
                object_key,
                made.size_bytes,
                made.duration_ms,
                made.loudness_lufs,
                made.fingerprint,
            )

    async def refused(self, sound_id: int, reason: str) -> None:
        """The new file cannot be used; an older one goes on serving."""
        async with self._shards.control() as connection:
            await connection.execute(
                """update sounds set error = $2, state = case when object_key is null then 'failed' else state end
                   where id = $1""",
                sound_id,
                reason[:1000],
            )

    # -- sounds of videos

    async def of_video(
        self, video_id: VideoId, *, new_id: int, artist: str, duration_ms: int, fingerprint: str | None
    ) -> LibrarySound:
        """The one sound that stands for the video's own; made if it is new. Idempotent."""
        async with self._shards.control() as connection:
            row = await connection.fetchrow(
                f"""insert into sounds (id, title, artist, duration_ms, fingerprint, state, source_video_id)
                    values ($2, 'Original sound', $3, $4, $5, 'ready', $1)
                    on conflict (source_video_id) where source_video_id is not null
                    do update set artist = excluded.artist, duration_ms = excluded.duration_ms,
                        fingerprint = excluded.fingerprint
                    returning {_COLUMNS}""",  # noqa: S608
                video_id,
                new_id,
                artist,
                duration_ms,
                fingerprint,
            )
        return _sound(row)


def _sound(row: Any) -> LibrarySound:
    fields = dict(row)
    return LibrarySound(**{**fields, "state": SoundState(fields["state"])})


_COLUMNS = "id, title, artist, duration_ms, licence, uses, state, object_key, size_bytes, error, source_video_id"
_SEARCH = f"""
select * from (
    select {_COLUMNS}, (1000 * word_similarity($4, lower(title || ' ' || artist)))::int as score
    from sounds where $4 <% lower(title || ' ' || artist) and licence <> 'restricted' limit 2000) found
where (score, id) < ($1, $2) order by score desc, id desc limit $3"""  # noqa: S608
_POPULAR = f"""
select {_COLUMNS}, least(uses, 2147483646)::int as score from sounds
where licence <> 'restricted' and (uses, id) < ($1, $2) order by uses desc, id desc limit $3"""  # noqa: S608
