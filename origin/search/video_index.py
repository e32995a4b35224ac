"""The search row of a video: written and removed in the transaction that publishes, changes or withdraws it."""

from __future__ import annotations

from collections.abc import Iterable

from foundation.ids import EPOCH_MS, VideoId
from foundation.stores.postgres import Connection, Shards
from foundation.stores.shard_map import Family, shard_of
from origin.search.words import MAX_INDEXED, words_of

BUCKET_S = 14 * 86_400
STEP_S = 2 * 86_400
"""What a doubling of engagement is worth (search_step in 0122_search.sql)."""
_BATCH = 500
_STRETCH_ROWS = 2000

_INDEX = f"""
insert into video_search (video_id, shard, hot, words)
select $1, $2, hot,
    array_to_tsvector($4::text[] || array(select hot / {BUCKET_S} || ':' || word from unnest($4::text[]) word))
from (select $3::int + {STEP_S} * coalesce((select search_step(views, likes, comments, shares)
    from video_counters where video_id = $1), 0) as hot) placed"""  # noqa: S608

# Called by the flusher with the videos whose engagement has doubled: the place, and the bucket in the words if it is
# another. `hot` alone is no key of an index, so most of these are updates in place.
RAISE_HOT = f"""
    update video_search s set hot = r.hot, words = case when s.hot / {BUCKET_S} = r.hot / {BUCKET_S} then s.words else (
        select array_to_tsvector(array_agg(word) || array_agg(r.hot / {BUCKET_S} || ':' || word))
        from unnest(tsvector_to_array(s.words)) word where word !~ '^[0-9]+:') end
    from raised r where s.video_id = r.video_id"""  # noqa: S608


async def index_video(
    connection: Connection,
    video_id: VideoId,
    *,
    title: str,
    description: str,
    hashtags: Iterable[str],
    published_s: float,
) -> None:
    """(Re)write the row. `published_s`: Unix seconds."""
    await connection.execute("delete from video_search where video_id = $1", video_id)
    lexemes = lexemes_of(title, description, hashtags)
    if lexemes:
        shard = shard_of(Family.VIDEO, video_id)
        await connection.execute(_INDEX, video_id, shard, hot_of(published_s), lexemes)


async def unindex_video(connection: Connection, video_id: VideoId) -> None:
    await connection.execute("delete from video_search where video_id = $1", video_id)


def hot_of(published_s: float) -> int:
    """Place in the order of results of a video that nobody has engaged with yet."""
    return max(0, int(published_s) - EPOCH_MS // 1000)


def lexemes_of(title: str, description: str, hashtags: Iterable[str]) -> list[str]:
    """Words without their bucket; "t:" before those of the title and the hashtags."""
    first = dict.fromkeys([*words_of(title), *(word for tag in hashtags for word in words_of(tag))])
    others = [word for word in words_of(description) if word not in first]
    return [*(f"t:{word}" for word in first), *others][:MAX_INDEXED]


class SearchUpkeep:
    """Duties on every video server: the vocabulary, and rows of videos published before there was this index."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def fold_words(self) -> int:
        """Add up what was journalled; returns how many changes."""
        folded = 0
        for server in self._shards.servers.values():
            async with server.primary() as connection:
                while count := int(await connection.fetchval(_FOLD, _BATCH)):
                    folded += count
        return folded

    async def fill(self) -> int:
        """Index what is out and has no row, a stretch of videos at a time; returns how many."""
        filled = 0
        for name in self._shards.map.servers(Family.VIDEO):
            last: int | None = 0
            while last is not None:
                last, count = await self._fill_stretch(name, last)
                filled += count
        return filled

    async def _fill_stretch(self, name: str, after: int) -> tuple[int | None, int]:
        """(last id looked at, rows made); None for the id at the end of the table."""
        async with self._shards.servers[name].primary() as connection, connection.transaction():
            last: int | None = await connection.fetchval(_STRETCH, after, _STRETCH_ROWS)
            if last is None:
                return None, 0
            rows = await connection.fetch(_MISSING, after, last)
            for row in rows:
                await index_video(
                    connection,
                    VideoId(row["id"]),
                    title=row["title"],
                    description=row["description"],
                    hashtags=row["hashtags"],
                    published_s=row["published_at"].timestamp(),
                )
        return last, len(rows)


_FOLD = """
with taken as (
    delete from search_changes where id in (select id from search_changes order by id limit $1 for update skip locked)
    returning words, delta),
sums as (
    select regexp_replace(lexeme, '^t:', '') as word, sum(delta) as delta
    from taken, unnest(tsvector_to_array(words)) lexeme
    where lexeme !~ '^([0-9]+:|(t:)?[0-9]+$)' group by 1 order by 1),
counted as (
    insert into search_words (word, videos) select word, delta from sums where delta <> 0
    on conflict (word) do update set videos = search_words.videos + excluded.videos)
select count(*) from taken"""
_MISSING = """
select v.id, v.title, v.description, v.hashtags, v.published_at from videos v
where v.id > $1 and v.id <= $2
    and v.state = 'ready' and v.visibility = 'public' and not v.shadow_banned and v.published_at is not null
    and (v.title <> '' or v.description <> '' or v.hashtags <> '{}')
    and not exists (select 1 from video_search s where s.video_id = v.id)
order by v.id for share of v"""
_STRETCH = "select max(id) from (select id from videos where id > $1 order by id limit $2) stretch"
