"""Evidence for bot scores from real rows: one question to each server for a batch of accounts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from foundation.ids import EPOCH_MS
from foundation.stores.errors import ShardUnavailable
from foundation.stores.postgres import Connection, Shards
from foundation.stores.shard_map import Family
from origin.accounts.bot_score import Evidence

_TIMEOUT_S = 30.0
_FULL_PERCENT = 97
"""People watch to the end and let it begin again; programs that leave at 37 % each time are meant."""

_WATCHES = """
select viewer, least(round(100.0 * watch_ms / greatest(total_ms, 1)), 1000)::int as percent, count(*) as n,
    array_agg(distinct extract(hour from received_at at time zone 'utc')::int) as hours
from watch_events where viewer = any($1) and day >= current_date - 1 and received_at > now() - interval '1 day'
group by 1, 2"""
_LIKES = """
select user_id, count(*) as n from engagements
where user_id = any($1) and kind = 'like' and created_at > now() - interval '1 day' group by 1"""
_COMMENTS = """
select user_id, md5(body) as text, count(*) as n from comments
where user_id = any($1) and created_at > now() - interval '1 day' group by 1, 2"""
_PEOPLE = """
select u.id, u.bio <> '' as has_bio, u.avatar_key is not null as has_avatar,
    lower(u.display_name) <> u.username as has_name,
    (select count(*) from user_videos v where v.user_id = u.id and v.video_id > $2) as videos_posted,
    (select count(*) from follows f where f.follower_id = u.id and f.created_at > now() - interval '1 day') as follows,
    array(select distinct device_hash from sessions s where s.user_id = u.id and device_hash is not null
        and s.created_at > now() - interval '30 days' limit 20) as devices
from users u where u.id = any($1)"""
_DEVICES = """
select device_hash, count(distinct user_id) as n from sessions
where device_hash = any($1) and created_at > now() - interval '30 days' group by 1"""


@dataclass(slots=True)
class _Watching:
    percents: Counter[int] = field(default_factory=Counter)
    hours: set[int] = field(default_factory=set)


async def gather(shards: Shards, user_ids: Sequence[int], *, now_s: float) -> dict[int, Evidence]:
    """Evidence by id for accounts that exist. Raises ShardUnavailable: with a server away nobody is judged."""
    since = (int(now_s * 1000) - EPOCH_MS - 86_400_000) << 22  # ids are made in time order
    people = await _ask(shards, Family.USER, _PEOPLE, list(user_ids), since)
    devices = sorted({device for person in people for device in person["devices"]})
    shared: Counter[str] = Counter()
    for row in await _ask(shards, Family.USER, _DEVICES, devices) if devices else []:
        shared[row["device_hash"]] += row["n"]
    watching = await _watching(shards, user_ids)
    likes: Counter[int] = Counter()
    for row in await _ask(shards, Family.VIDEO, _LIKES, list(user_ids)):
        likes[row["user_id"]] += row["n"]
    comments: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for row in await _ask(shards, Family.VIDEO, _COMMENTS, list(user_ids)):
        comments[row["user_id"]][row["text"]] += row["n"]
    return {
        person["id"]: Evidence(
            videos_posted=person["videos_posted"],
            watches=watching[person["id"]].percents.total(),
            active_hours=len(watching[person["id"]].hours),
            same_watches=_most({p: n for p, n in watching[person["id"]].percents.items() if p < _FULL_PERCENT}),
            likes=likes[person["id"]],
            follows=person["follows"],
            comments=comments[person["id"]].total(),
            same_comments=_most(comments[person["id"]]),
            accounts_of_device=max((shared[device] for device in person["devices"]), default=1),
            has_bio=person["has_bio"],
            has_avatar=person["has_avatar"],
            has_name=person["has_name"],
        )
        for person in people
    }


async def _watching(shards: Shards, user_ids: Sequence[int]) -> defaultdict[int, _Watching]:
    found: defaultdict[int, _Watching] = defaultdict(_Watching)
    for row in await _ask(shards, Family.VIDEO, _WATCHES, [f"u:{user_id}" for user_id in user_ids]):
        watching = found[int(row["viewer"][2:])]
        watching.percents[row["percent"]] += row["n"]
        watching.hours.update(row["hours"])
    return found


def _most(counts: dict[Any, int] | Counter[Any]) -> int:
    return max(counts.values(), default=0)


async def _ask(shards: Shards, family: Family, sql: str, *arguments: object) -> list[Any]:
    ask: Callable[[str, Connection], Awaitable[list[Any]]] = lambda name, connection: connection.fetch(sql, *arguments)  # noqa: E731
    scattered = await shards.scatter(ask, family=family, timeout_s=_TIMEOUT_S)
    if scattered.missing:
        raise ShardUnavailable(f"servers {', '.join(scattered.missing)} are away; nobody is judged meanwhile")
    return [row for rows in scattered.answers for row in rows]
