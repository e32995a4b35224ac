"""The flusher: journal rows -> totals, and the new totals -> outbox, in one transaction per batch and server.

Killed at any instant, a batch is either wholly applied or not at all; two flushers share the work by SKIP LOCKED.
"""

from __future__ import annotations

import asyncio
import logging

from foundation.errors import PopreelError
from foundation.stores.errors import ShardUnavailable
from foundation.stores.postgres import Shards
from origin.search.video_index import RAISE_HOT, STEP_S

_log = logging.getLogger(__name__)

# `taken` deletes what it reads, so a row counts once. Owners' totals of likes go out as increments under the record's
# own sequence number, which the consumer uses to apply each once.
_FLUSH = f"""
with taken as (
    delete from counter_journal where id in (
        -- a shard that is being moved is left alone (7701: shard_enter); its rows are counted at the target
        select id from counter_journal where pg_try_advisory_xact_lock_shared(7701, shard)
        order by id limit $1 for update skip locked)
    returning video_id, views, likes, comments, shares, bookmarks, watch_ms),
sums as (
    select video_id, sum(views) as views, sum(likes) as likes, sum(comments) as comments, sum(shares) as shares,
        sum(bookmarks) as bookmarks, sum(watch_ms) as watch_ms, count(*) as rows
    from taken group by video_id order by video_id),
totals as (
    update video_counters c set views = c.views + s.views, likes = c.likes + s.likes,
        comments = c.comments + s.comments, shares = c.shares + s.shares, bookmarks = c.bookmarks + s.bookmarks,
        watch_ms = c.watch_ms + s.watch_ms
    from sums s where c.video_id = s.video_id
    returning c.video_id, c.views, c.likes, c.comments, c.shares,
        search_step(c.views, c.likes, c.comments, c.shares)
            - search_step(c.views - s.views::bigint, c.likes - s.likes::bigint, c.comments - s.comments::bigint,
                c.shares - s.shares::bigint) as steps),
raised as (
    select s.video_id, s.hot + t.steps * {STEP_S} as hot
    from totals t join video_search s on s.video_id = t.video_id where t.steps <> 0),
placed as ({RAISE_HOT}),
told as (
    insert into outbox (topic, key, payload)
    select 'catalogue.counters', t.video_id::text,
        jsonb_build_object('views', t.views, 'likes', t.likes, 'comments', t.comments, 'shares', t.shares)
    from totals t join videos v on v.id = t.video_id and v.state = 'ready'),
owners as (
    insert into outbox (topic, key, payload)
    select 'user.likes', v.owner_id::text,
        jsonb_build_object('userId', v.owner_id::text, 'likes', sum(s.likes))
    from sums s join videos v on v.id = s.video_id where s.likes <> 0 group by v.owner_id)
select coalesce(sum(rows), 0)::bigint from sums"""  # noqa: S608


class CounterFlusher:
    def __init__(self, shards: Shards, *, interval_s: float, batch: int = 5000) -> None:
        self._shards = shards
        self._interval_s = interval_s
        self._batch = batch

    async def run(self) -> None:
        while True:
            try:
                await self.flush()
            except PopreelError as err:
                _log.warning("flush paused", extra={"event": "flush_paused", "cause": err.detail})
            await asyncio.sleep(self._interval_s)

    async def flush(self) -> int:
        """Flush every reachable server until its journal is empty; returns the journal rows applied."""
        flushed = 0
        for server in self._shards.servers.values():
            try:
                while applied := await self._flush_one(server.name):
                    flushed += applied
            except ShardUnavailable as err:
                _log.info("server skipped", extra={"event": "flush_skipped", "cause": err.detail})
        return flushed

    async def _flush_one(self, name: str) -> int:
        async with self._shards.servers[name].primary() as connection, connection.transaction():
            return int(await connection.fetchval(_FLUSH, self._batch))
