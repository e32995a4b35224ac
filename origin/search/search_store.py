"""Search over all servers: one question to each server, whatever number of logical shards it holds.

Each server gives its best page after the cursor; the merge takes the best of them, so the order is global. How videos
are found is in video_query.py and 0122_search.sql, people in 0125_people_search.sql; tags exactly, suggestions by
prefix. Somebody signed in also finds what is hidden from everybody else: own_hidden.py.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from foundation.ids import UserId, VideoId
from foundation.stores.postgres import Connection, Scattered, Shards
from foundation.stores.shard_map import Family
from origin.search.own_hidden import HiddenVideo, hidden_person, hidden_videos
from origin.search.video_query import ANYWHERE, BEST, exact_query, loose_query, meant_by
from origin.search.words import MAX_ASKED, words_of

_SIMILAR = 40
_VIDEOS = "select video_id, hot from search_videos($1, $2, $3, $4)"
_PEOPLE = "select level, weight, user_id from search_people($1, $2, $3, $4, $5)"
_CALLED_SO = 2
_LATEST = 2**31 - 1
_LAST_US = 2**52  # microseconds: the year 2112
_LAST_ID = 2**63 - 1

_TAG_PAGE = """
select video_id as id, (extract(epoch from published_at) * 1000000)::bigint as score from video_hashtags
where tag = $1 and (published_at, video_id) < ('epoch'::timestamptz + $2::bigint * interval '1 microsecond', $3)
order by published_at desc, video_id desc limit $4"""

_SOUND_PAGE = """
select id, (extract(epoch from published_at) * 1000000)::bigint as score from videos
where sound_id = $1 and state = 'ready' and visibility = 'public' and not shadow_banned
    and (published_at, id) < ('epoch'::timestamptz + $2::bigint * interval '1 microsecond', $3)
order by published_at desc, id desc limit $4"""

# In both, the tags of the viewer's hidden videos count as they would without the ban.
_TAGS = """
select tag, count(*) as n from (
    (select tag from video_hashtags where tag like $1 limit 5000) union all select unnest($3::text[])) t
group by tag order by n desc limit $2"""
_TRENDING = """
select tag, sum(views)::bigint as views, sum(videos)::bigint as videos from (
    select tag, views, 0 as videos from hashtag_hours where hour > now() - make_interval(hours => $1)
    union all
    select tag, 0, 1 from video_hashtags where published_at > now() - make_interval(hours => $1)
    union all
    select tag, 0, 1 from unnest($3::text[], $4::float8[]) as own (tag, published_s)
    where to_timestamp(published_s) > now() - make_interval(hours => $1)
) uses group by tag order by sum(views) + sum(videos) desc limit $2"""

_NAMES = """
select name_key from usernames where name_key like $1 and confirmed and (listed or user_id = $3)
order by name_key using ~<~ limit $2"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Ids best first with their sort keys; `partial`: a server did not answer."""

    ids: tuple[int, ...]
    next_key: tuple[int, ...] | None
    partial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendingTag:
    tag: str
    views: int
    videos: int


class SearchStore:
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def videos(
        self, text: str, *, after: tuple[int, ...] | None, limit: int, viewer: UserId | None = None
    ) -> Hits:
        """Sort keys are (class, hot, id): see video_query.py. Text without a word finds nothing."""
        words = words_of(text)[:MAX_ASKED]
        if not words:
            return Hits(ids=(), next_key=None, partial=False)
        start = after or (BEST, _LATEST, _LAST_ID)

        async def ask(name: str, connection: Connection) -> list[tuple[int, ...]]:
            own = [key for video in await hidden_videos(connection, viewer) if (key := video.found_by(words))]
            return [*await _videos_of_server(connection, words, start, wanted=limit + 1), *_after(start, own)]

        return _merged(await self._shards.scatter(ask, family=Family.VIDEO, fresh=False), limit)

    async def users(
        self, text: str, *, after: tuple[int, ...] | None, limit: int, viewer: UserId | None = None
    ) -> Hits:
        """Teens, banned and shadow-banned accounts are never found, but the last by themselves.

        Sort keys: (level, weight, id) of search_people.
        """
        start = after or (_CALLED_SO, _LATEST, _LAST_ID)

        async def ask(name: str, connection: Connection) -> list[tuple[int, ...]]:
            rows = await connection.fetch(_PEOPLE, text.lower(), *start, limit + 1)
            own = await hidden_person(connection, viewer, text.lower())
            return [*((row["level"], row["weight"], row["user_id"]) for row in rows), *_after(start, own)]

        return _merged(await self._shards.scatter(ask, family=Family.USER, fresh=False), limit)

    async def by_hashtag(
        self, tag: str, *, after: tuple[int, int] | None, limit: int, viewer: UserId | None = None
    ) -> Hits:
        return await self._newest(_TAG_PAGE, tag, lambda own: tag in own.hashtags, after, limit=limit, viewer=viewer)

    async def by_sound(
        self, sound_id: int, *, after: tuple[int, int] | None, limit: int, viewer: UserId | None = None
    ) -> Hits:
        return await self._newest(
            _SOUND_PAGE, sound_id, lambda own: own.sound_id == sound_id, after, limit=limit, viewer=viewer
        )

    async def _newest(
        self,
        sql: str,
        subject: str | int,
        about: Callable[[HiddenVideo], bool],
        after: tuple[int, int] | None,
        *,
        limit: int,
        viewer: UserId | None,
    ) -> Hits:
        """A page of `sql` about `subject`, newest first, with the viewer's hidden videos that are `about` it."""
        start = after or (_LAST_US, _LAST_ID)

        async def ask(name: str, connection: Connection) -> list[tuple[int, ...]]:
            rows = await connection.fetch(sql, subject, *start, limit + 1)
            own = [video.by_time() for video in await hidden_videos(connection, viewer) if about(video)]
            return [*((row["score"], row["id"]) for row in rows), *_after(start, own)]

        return _merged(await self._shards.scatter(ask, family=Family.VIDEO, fresh=False), limit)

    async def suggest(self, prefix: str, *, limit: int, viewer: UserId | None = None) -> tuple[str, ...]:
        """Hashtags in use and usernames that begin with `prefix` (lower case); one's own are never missing."""
        prefix = prefix.replace("\\", "").replace("%", "")
        pattern = prefix.replace("_", r"\_") + "%"

        async def ask(name: str, connection: Connection) -> list[tuple[str, int]]:
            own = [tag for video in await hidden_videos(connection, viewer) for tag in video.hashtags]
            rows = await connection.fetch(_TAGS, pattern, limit, [tag for tag in own if tag.startswith(prefix)])
            return [(row["tag"], row["n"]) for row in rows]

        scattered = await self._shards.scatter(ask, family=Family.VIDEO)
        counts: dict[str, int] = {}
        for tag, count in (entry for entries in scattered.answers for entry in entries):
            counts[tag] = counts.get(tag, 0) + count
        tags = [f"#{tag}" for tag in sorted(counts, key=lambda tag: (-counts[tag], tag))]
        names = await self._usernames(pattern, limit, viewer)
        return tuple([*tags[: max(limit - len(names), limit // 2)], *names][:limit])

    async def _usernames(self, pattern: str, limit: int, viewer: UserId | None) -> list[str]:
        async with self._shards.control() as connection:
            rows = await connection.fetch(_NAMES, pattern, limit, viewer)
        return [f"@{row['name_key']}" for row in rows]

    async def trending_hashtags(
        self, *, hours: int, limit: int, viewer: UserId | None = None
    ) -> tuple[TrendingTag, ...]:
        """Most watched tags of the last `hours`; a tag in new videos counts a little before anyone has watched."""

        async def ask(name: str, connection: Connection) -> list[Any]:
            own = await hidden_videos(connection, viewer)
            uses = [(tag, video.published_us / 1e6) for video in own for tag in video.hashtags]
            tags, published_s = [tag for tag, _ in uses], [at_s for _, at_s in uses]
            return list(await connection.fetch(_TRENDING, hours, limit * 4, tags, published_s))

        scattered = await self._shards.scatter(ask, family=Family.VIDEO)
        totals: dict[str, tuple[int, int]] = {}
        for row in (row for rows in scattered.answers for row in rows):
            views, videos = totals.get(row["tag"], (0, 0))
            totals[row["tag"]] = (views + row["views"], videos + row["videos"])
        ranked = sorted(totals.items(), key=lambda entry: (-(entry[1][0] + entry[1][1]), entry[0]))
        return tuple(TrendingTag(tag=tag, views=views, videos=videos) for tag, (views, videos) in ranked[:limit])


async def _videos_of_server(
    connection: Connection, words: list[str], start: tuple[int, ...], *, wanted: int
) -> list[tuple[int, ...]]:
    """The server's best `wanted` keys below `start`, class by class; typos are looked up only if they are needed."""
    found: list[tuple[int, ...]] = []
    meant: dict[str, list[str]] | None = None
    for level in range(start[0], -1, -1):
        if level >= ANYWHERE:
            query: str | None = exact_query(words, level)
        else:
            meant = await _meant(connection, words) if meant is None else meant
            query = loose_query(words, meant, level)
        if query is None:
            continue
        hot, last_id = start[1:] if level == start[0] else (_LATEST, _LAST_ID)
        rows = await connection.fetch(_VIDEOS, query, hot, last_id, wanted - len(found))
        found += [(level, row["hot"], row["video_id"]) for row in rows]
        if len(found) >= wanted:
            break
    return found


async def _meant(connection: Connection, words: list[str]) -> dict[str, list[str]]:
    found = {}
    for word in words:
        rows = await connection.fetch("select similar_words($1, $2) as word", word, _SIMILAR)
        found[word] = meant_by(word, [row["word"] for row in rows])
    return found


def _after(start: tuple[int, ...], keys: Iterable[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """What comes after the cursor: the order is descending."""
    return [key for key in keys if key < start]


def _merged(scattered: Scattered[list[tuple[int, ...]]], limit: int) -> Hits:
    merged = heapq.nlargest(limit + 1, (key for keys in scattered.answers for key in keys))
    return Hits(
        ids=tuple(key[-1] for key in merged[:limit]),
        next_key=merged[limit - 1] if len(merged) > limit else None,
        partial=bool(scattered.missing),
    )


def video_ids(hits: Hits) -> list[VideoId]:
    return [VideoId(snowflake) for snowflake in hits.ids]


def user_ids(hits: Hits) -> list[UserId]:
    return [UserId(snowflake) for snowflake in hits.ids]
