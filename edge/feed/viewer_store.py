"""What the PoP knows of its viewers, in its Valkey; a bounded copy in memory carries on while Valkey is away.

Keys of one viewer share a hash tag, so they live on one node of a cluster:

    feed:{u:17}:taste        inference.feed.taste.encode, 180 days
    feed:{u:17}:session      edge.feed.session.encode, 30 minutes (setting)
    feed:{u:17}:prefs        Preferences as msgpack, 400 days
    feed:{u:17}:seen:2912    8 bytes per watched video, one key per week: exact, never saturates, forgets after 5 weeks
    feed:event:{id}          a report that its player named and that is counted already, 2 hours
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.exceptions import RedisError

from edge.feed import session as sessions
from edge.feed.breaker import CircuitBreaker
from edge.feed.errors import StoreAway
from edge.feed.session import Session
from inference.feed import taste as tastes
from inference.feed.taste import Taste

_WEEK_S = 7 * 86_400
_SEEN_WEEKS = 5
_TASTE_S = 180 * 86_400
_PREFS_S = 400 * 86_400
_EVENT_S = 7200
"""A player resends within minutes; later repeats are caught by the origin and only teach the taste twice."""


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """What a viewer asked for by hand."""

    interests: tuple[str, ...] = ()
    hidden_creators: tuple[int, ...] = ()
    hidden_tags: tuple[str, ...] = ()
    liked: tuple[int, ...] = ()
    """Last 500 liked videos, for the heart on an item before the origin knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerRecord:
    taste: Taste
    session: Session | None = None
    preferences: Preferences = field(default_factory=Preferences)
    seen: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Watched videos of the last five weeks, oldest first; may repeat."""
    from_memory: bool = False
    """Valkey was away: this may be old or empty."""


class ViewerStore:
    """Loads with one round trip, saves with one. Never raises from `load` and `save`: it degrades and says so."""

    def __init__(
        self,
        valkey: Redis,
        *,
        space_of: Callable[[str], str],
        clock: Callable[[], float],
        timeout_s: float,
        session_s: float,
        memory_viewers: int,
        taste_in: Callable[[str, Taste], Taste],
    ) -> None:
        """`space_of` is the vector space a viewer is served in now; `taste_in` carries a taste of another over."""
        self._valkey = valkey
        self._space_of = space_of
        self._taste_in = taste_in
        self._clock = clock
        self._timeout_s = timeout_s
        self._session_s = session_s
        self._most_in_memory = memory_viewers
        self._memory: OrderedDict[str, ViewerRecord] = OrderedDict()
        self._unsaved: dict[str, list[int]] = {}
        """Viewers whose memory is newer than Valkey, with the watched videos it has not got."""
        self._breaker = CircuitBreaker(failures=2, pause_s=1.0, clock=clock)

    async def load(self, viewer_id: str) -> ViewerRecord:
        """The viewer's record, new if unknown."""
        if viewer_id in self._unsaved:
            return self._from_memory(viewer_id)
        try:
            raw = await self._call(self._valkey.mget(self._keys(viewer_id)))
        except StoreAway:
            return self._from_memory(viewer_id)
        record = self._decoded(viewer_id, raw)
        self._remember(viewer_id, record)
        return record

    async def save(self, viewer_id: str, record: ViewerRecord, *, watched: list[int], taste: bool, prefs: bool) -> bool:
        """Store the session and, where said so, taste, preferences and newly watched videos. False: only in memory."""
        self._remember(viewer_id, replace(record, seen=np.append(record.seen, np.array(watched, np.int64))))
        pending = self._unsaved.get(viewer_id)
        watched, everything = [*(pending or ()), *watched], pending is not None
        base = _base(viewer_id)
        pipe = self._valkey.pipeline(transaction=False)
        if record.session is not None:
            pipe.set(f"{base}:session", sessions.encode(record.session), ex=int(self._session_s))
        if taste or everything:
            pipe.set(f"{base}:taste", tastes.encode(record.taste), ex=_TASTE_S)
        if prefs or everything:
            pipe.set(f"{base}:prefs", msgspec.msgpack.encode(record.preferences), ex=_PREFS_S)
        if watched:
            key = f"{base}:seen:{self._week()}"
            pipe.append(key, np.array(watched, "<i8").tobytes())
            pipe.expire(key, (_SEEN_WEEKS + 1) * _WEEK_S)
        try:
            await self._call(pipe.execute())
        except StoreAway:
            self._unsaved[viewer_id] = watched[-1000:]
            return False
        self._unsaved.pop(viewer_id, None)
        return True

    async def counted_before(self, event_ids: list[str]) -> frozenset[str]:
        """Which of these were counted already; none, while Valkey is away (the origin de-duplicates anyway)."""
        if not event_ids:
            return frozenset()
        pipe = self._valkey.pipeline(transaction=False)
        for event_id in event_ids:
            pipe.set(f"feed:event:{{{event_id}}}", b"1", nx=True, ex=_EVENT_S)
        try:
            done = await self._call(pipe.execute())
        except StoreAway:
            return frozenset()
        return frozenset(event_id for event_id, first in zip(event_ids, done, strict=True) if not first)

    async def _call(self, work: Any) -> Any:
        if self._breaker.open:
            if asyncio.iscoroutine(work):
                work.close()
            raise StoreAway("Valkey did not answer a moment ago")
        try:
            async with asyncio.timeout(self._timeout_s):
                result = await work
        except (RedisError, OSError, TimeoutError) as err:
            self._breaker.failed()
            raise StoreAway(f"Valkey: {type(err).__name__}") from err
        self._breaker.succeeded()
        return result

    def _keys(self, viewer_id: str) -> list[str]:
        base, week = _base(viewer_id), self._week()
        weeks = [f"{base}:seen:{number}" for number in range(week - _SEEN_WEEKS + 1, week + 1)]
        return [f"{base}:taste", f"{base}:session", f"{base}:prefs", *weeks]

    def _week(self) -> int:
        return int(self._clock() // _WEEK_S)

    def _decoded(self, viewer_id: str, raw: list[bytes | None]) -> ViewerRecord:
        taste_raw, session_raw, prefs_raw, *weeks = raw
        taste = tastes.decode(taste_raw) if taste_raw else None
        space = self._space_of(viewer_id)
        taste = Taste(space=space) if taste is None else self._taste_in(space, taste)
        seen = b"".join(week[: len(week) // 8 * 8] for week in weeks if week)
        return ViewerRecord(
            taste=taste,
            session=sessions.decode(session_raw) if session_raw else None,
            preferences=_preferences(prefs_raw),
            seen=np.frombuffer(seen, "<i8").astype(np.int64),
        )

    def _remember(self, viewer_id: str, record: ViewerRecord) -> None:
        self._memory[viewer_id] = record
        self._memory.move_to_end(viewer_id)
        while len(self._memory) > self._most_in_memory:
            forgotten, _ = self._memory.popitem(last=False)
            self._unsaved.pop(forgotten, None)

    def _from_memory(self, viewer_id: str) -> ViewerRecord:
        known, space = self._memory.get(viewer_id), self._space_of(viewer_id)
        if known is None:
            return ViewerRecord(taste=Taste(space=space), from_memory=True)
        return replace(known, taste=self._taste_in(space, known.taste), from_memory=True)


def _base(viewer_id: str) -> str:
    return f"feed:{{{viewer_id}}}"


def _preferences(raw: bytes | None) -> Preferences:
    if not raw:
        return Preferences()
    try:
        return msgspec.msgpack.decode(raw, type=Preferences)
    except msgspec.DecodeError:
        return Preferences()
