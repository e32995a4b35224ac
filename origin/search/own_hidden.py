"""What only its owner finds: a shadow-banned person's videos and name, in the places where they would be.

They are in no index (video_index.py), so nobody else can come upon them by any query. A person who searches gets them
from their own rows, placed among the others by the same keys: nothing they can look at tells them of the ban.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from foundation.ids import UserId
from foundation.stores.postgres import Connection
from origin.search.video_index import STEP_S, hot_of, lexemes_of
from origin.search.video_query import level_of

MAX_HIDDEN = 500
"""Newest videos of one person that are looked at."""

_VIDEOS = """
select v.id, v.title, v.description, v.hashtags, v.sound_id,
    (extract(epoch from v.published_at) * 1000000)::bigint as published_us,
    coalesce(search_step(c.views, c.likes, c.comments, c.shares), 0) as step
from videos v left join video_counters c on c.video_id = v.id
where v.owner_id = $1 and v.shadow_banned and v.state = 'ready' and v.visibility = 'public'
    and v.published_at is not null
order by v.id desc limit $2"""

# The levels and weights of search_people in 0125_people_search.sql.
_PERSON = """
select case when username = $2 then 2 when begins then 1 else 0 end as level,
    case when begins then least(followers, 2147483646)::int else (1000 * likeness)::int end as weight, id
from (select id, username, followers,
        starts_with(username, $2) or starts_with(lower(display_name), $2) as begins,
        word_similarity($2, lower(username || ' ' || display_name)) as likeness
    from users where id = $1 and shadow_banned and state = 'active' and not teen and banned_at is null) own
where begins or likeness >= 0.45"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenVideo:
    """One video of the person who searches. `published_us`: Unix microseconds; `hot`: as in 0122_search.sql."""

    id: int
    lexemes: tuple[str, ...]
    hashtags: tuple[str, ...]
    sound_id: int | None
    published_us: int
    hot: int

    def found_by(self, words: Sequence[str]) -> tuple[int, int, int] | None:
        """Its sort key among the results for `words`, None if they do not find it."""
        level = level_of(words, self.lexemes)
        return (level, self.hot, self.id) if level is not None else None

    def by_time(self) -> tuple[int, int]:
        """Its sort key on the page of a hashtag or a sound."""
        return self.published_us, self.id


async def hidden_videos(connection: Connection, viewer: UserId | None) -> list[HiddenVideo]:
    """Those of the server asked."""
    if viewer is None:
        return []
    return [_video(row) for row in await connection.fetch(_VIDEOS, viewer, MAX_HIDDEN)]


async def hidden_person(connection: Connection, viewer: UserId | None, text: str) -> list[tuple[int, ...]]:
    """The sort key of the viewer's own account, if it is hidden, on this server and found by `text` (lower case)."""
    if viewer is None:
        return []
    return [(row["level"], row["weight"], row["id"]) for row in await connection.fetch(_PERSON, viewer, text)]


def _video(row: Any) -> HiddenVideo:
    return HiddenVideo(
        id=row["id"],
        lexemes=tuple(lexemes_of(row["title"], row["description"], row["hashtags"])),
        hashtags=tuple(row["hashtags"]),
        sound_id=row["sound_id"],
        published_us=row["published_us"],
        hot=hot_of(row["published_us"] / 1e6) + STEP_S * row["step"],
    )
