"""What the PoP knows of its viewers: in memory for those who are here, in its Valkey for all.

This process is the only writer of its viewers, so what it holds in memory is the truth and a viewer is read from
Valkey once; every change is written there before it is answered. While Valkey is away memory carries on.

Keys of one viewer share a hash tag, so they live on one node of a cluster:

    feed:{u:17}:taste        inference.feed.taste.encode, 180 days
    feed:{u:17}:session      edge.feed.session.encode, 30 minutes (setting)
    feed:{u:17}:prefs        Preferences as msgpack, 400 days
    feed:{u:17}:seen:2912    8 bytes per watched video, one key per week: exact, never saturates, forgets after 5 weeks
    feed:{u:17}:counted      8 bytes each for the last 512 reports that the player named and that are counted, 2 hours
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import xxhash
from msgspec import field
from msgspec.structs import replace
from numpy.typing import NDArray
from redis.exceptions import RedisError

from edge.feed import session as sessions
from edge.feed.breaker import CircuitBreaker
from edge.feed.errors import StoreAway
from edge.feed.session import Session
from foundation.stores.round_trips import Command, RoundTrips
from inference.feed import taste as tastes
from inference.feed.taste import Taste

_WEEK_S = 7 * 86_400
_SEEN_WEEKS = 5
_TASTE_S = 180 * 86_400
_PREFS_S = 400 * 86_400
_COUNTED_S = 7200
"""A player resends within minutes; later repeats are caught by the origin and only teach the taste twice."""
_MOST_COUNTED = 512


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """What a viewer asked for by hand."""

    interests: tuple[str, ...] = ()
    hidden_creators: tuple[int, ...] = ()
    hidden_tags: tuple[str, ...] = ()
    liked: tuple[int, ...] = ()
    """Last 500 liked videos, for the heart on an item before the origin knows."""


class ViewerRecord(msgspec.Struct, frozen=True, kw_only=True):
    taste: Taste
    session: Session | None = None
    preferences: Preferences = Preferences()
    seen: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Watched videos of the last five weeks, oldest first; may repeat."""
    counted: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Hashes of the last named reports that were learned from, oldest first."""
    from_memory: bool = False
    """Valkey was away: this may be old or empty."""


def with_counted(record: ViewerRecord, names: Sequence[str]) -> ViewerRecord:
    """The record that knows these named reports."""
    if not names:
        return record
    hashes = np.array([_hash(name) for name in names], np.int64)
    return replace(record, counted=np.concatenate([record.counted, hashes])[-_MOST_COUNTED:])


def counted_before(record: ViewerRecord, names: Sequence[str]) -> frozenset[str]:
    """Which of these reports the viewer's record knows already."""
    known = frozenset(record.counted.tolist())
    return frozenset(name for name in names if _hash(name) in known)


def _hash(name: str) -> int:
    return xxhash.xxh64_intdigest(name.encode()) >> 1


@dataclass(slots=True)
class _Kept:
    """A viewer in memory."""

    record: ViewerRecord
    week: int
    """Week of the last reading from Valkey: another one forgets old watches, so the viewer is read again."""
    used_s: float
    blank: bool
    """Valkey was away when the viewer came: what it knows is still to be read."""


class ViewerStore:
    """Loads with at most one round trip, saves with one. Never raises from `load` and `save`: it degrades and says so.

    Calls for one viewer must not overlap (the feed holds a lock per viewer), except `load` by readers that save
    nothing.
    """

    def __init__(
        self,
        trips: RoundTrips,
        *,
        space_of: Callable[[str], str],
        clock: Callable[[], float],
        timeout_s: float,
        session_s: float,
        memory_viewers: int,
        taste_in: Callable[[str, Taste], Taste],
    ) -> None:
        """`space_of` is the vector space a viewer is served in now; `taste_in` carries a taste of another over."""
        self._trips = trips
        self._space_of = space_of
        self._taste_in = taste_in
        self._clock = clock
        self._timeout_s = timeout_s
        self._session_s = session_s
        self._most_in_memory = memory_viewers
        self._memory: OrderedDict[str, _Kept] = OrderedDict()
        self._unsaved: dict[str, list[int]] = {}
        """Viewers whose memory is newer than Valkey, with the watched videos it has not got."""
        self._breaker = CircuitBreaker(failures=2, pause_s=1.0, clock=clock)

    async def load(self, viewer_id: str) -> ViewerRecord:
        """The viewer's record, new if unknown."""
        kept = self._memory.get(viewer_id)
        if kept is not None and not kept.blank and (kept.week == self._week() or viewer_id in self._unsaved):
            return self._from_memory(viewer_id, kept)
        try:
            (raw,) = await self._call(("MGET", *self._keys(viewer_id)))
        except StoreAway:
            return self._from_memory(viewer_id, self._memory.get(viewer_id))
        newer = self._memory.get(viewer_id)
        if newer is not kept and newer is not None and not newer.blank:
            return self._from_memory(viewer_id, newer)  # a reader without the lock was overtaken by a save
        record = self._decoded(viewer_id, raw)
        if newer is not None and newer.blank:
            record = _joined(record, newer.record)
        self._remember(viewer_id, record, blank=False)
        return record

    async def save(self, viewer_id: str, record: ViewerRecord, *, watched: Sequence[int] = ()) -> bool:
        """Store what differs from the record in memory, and newly watched videos. False: only in memory."""
        kept = self._memory.get(viewer_id)
        blank = kept.blank if kept is not None else record.from_memory
        if watched:
            record = replace(record, seen=np.concatenate([record.seen, np.array(watched, np.int64)]))
        self._remember(viewer_id, replace(record, from_memory=False) if record.from_memory else record, blank=blank)
        pending = self._unsaved.get(viewer_id)
        before = kept.record if kept is not None and pending is None else None
        watched = [*(pending or ()), *watched]
        try:
            if blank:
                raise StoreAway("what Valkey knows of this viewer comes first")
            commands = self._changes(viewer_id, record, before, watched)
            if commands:
                await self._call(*commands)
        except StoreAway:
            self._unsaved[viewer_id] = watched[-1000:]
            return False
        self._unsaved.pop(viewer_id, None)
        return True

    def hold(self, viewer_id: str, record: ViewerRecord) -> None:
        """Keep a record in memory alone until the next save: for what is lost without harm, as an order is."""
        kept = self._memory.get(viewer_id)
        if kept is not None:
            kept.record = replace(record, from_memory=False)

    async def take_back(self, viewer_id: str, record: ViewerRecord, *, watched: Sequence[int]) -> None:
        """The last save was wrong, for its reports were refused: `record` holds again. `watched` is what that save
        added."""
        pending = self._unsaved.get(viewer_id)
        self._unsaved[viewer_id] = pending[: len(pending) - len(watched)] if pending is not None else []
        await self.save(viewer_id, record)

    def _changes(
        self, viewer_id: str, record: ViewerRecord, before: ViewerRecord | None, watched: Sequence[int]
    ) -> list[Command]:
        """`before` is what Valkey has; None: everything is written."""
        base, session = _base(viewer_id), record.session
        commands: list[Command] = []
        if session is not None and (before is None or not session.hands_out_as(before.session)):
            commands.append(("SET", f"{base}:session", sessions.encode(session), "EX", int(self._session_s)))
        elif session is not None:
            commands.append(("EXPIRE", f"{base}:session", int(self._session_s)))
        if before is None or record.taste is not before.taste:
            commands.append(("SET", f"{base}:taste", tastes.encode(record.taste), "EX", _TASTE_S))
        if before is None or record.preferences != before.preferences:
            commands.append(("SET", f"{base}:prefs", msgspec.msgpack.encode(record.preferences), "EX", _PREFS_S))
        if before is None or record.counted is not before.counted:
            commands.append(("SET", f"{base}:counted", record.counted.astype("<i8").tobytes(), "EX", _COUNTED_S))
        if watched:
            key = f"{base}:seen:{self._week()}"
            commands.append(("APPEND", key, np.array(watched, "<i8").tobytes()))
            commands.append(("EXPIRE", key, (_SEEN_WEEKS + 1) * _WEEK_S))
        return commands

    async def _call(self, *commands: Command) -> list[Any]:
        if self._breaker.open:
            raise StoreAway("Valkey did not answer a moment ago")
        try:
            result = await self._trips.send(*commands, within_s=self._timeout_s)
        except (RedisError, OSError, TimeoutError) as err:
            self._breaker.failed()
            raise StoreAway(f"Valkey: {type(err).__name__}") from err
        self._breaker.succeeded()
        return result

    def _keys(self, viewer_id: str) -> list[str]:
        base, week = _base(viewer_id), self._week()
        weeks = [f"{base}:seen:{number}" for number in range(week - _SEEN_WEEKS + 1, week + 1)]
        return [f"{base}:taste", f"{base}:session", f"{base}:prefs", f"{base}:counted", *weeks]

    def _week(self) -> int:
        return int(self._clock() // _WEEK_S)

    def _decoded(self, viewer_id: str, raw: list[bytes | None]) -> ViewerRecord:
        taste_raw, session_raw, prefs_raw, counted_raw, *weeks = raw
        taste = tastes.decode(taste_raw) if taste_raw else None
        space = self._space_of(viewer_id)
        taste = Taste(space=space) if taste is None else self._taste_in(space, taste)
        seen = b"".join(week[: len(week) // 8 * 8] for week in weeks if week)
        return ViewerRecord(
            taste=taste,
            session=sessions.decode(session_raw) if session_raw else None,
            preferences=_preferences(prefs_raw),
            seen=np.frombuffer(seen, "<i8").astype(np.int64),
            counted=np.frombuffer(counted_raw or b"", "<i8").astype(np.int64),
        )

    def _remember(self, viewer_id: str, record: ViewerRecord, *, blank: bool) -> None:
        self._memory[viewer_id] = _Kept(record, self._week(), self._clock(), blank)
        self._memory.move_to_end(viewer_id)
        while len(self._memory) > self._most_in_memory:
            forgotten, _ = self._memory.popitem(last=False)
            self._unsaved.pop(forgotten, None)

    def _from_memory(self, viewer_id: str, kept: _Kept | None) -> ViewerRecord:
        space = self._space_of(viewer_id)
        if kept is None:
            return ViewerRecord(taste=Taste(space=space), from_memory=True)
        record = kept.record
        if record.taste.space != space:  # another model came since
            record = replace(record, taste=self._taste_in(space, record.taste))
        if record.session is not None and self._clock() - kept.used_s > self._session_s:
            record = replace(record, session=None)
        return replace(record, from_memory=True) if viewer_id in self._unsaved or kept.blank else record


def _joined(stored: ViewerRecord, blank: ViewerRecord) -> ViewerRecord:
    """What Valkey knows of a viewer, and what happened here while it could not be asked."""
    same_space = stored.taste.space == blank.taste.space
    return replace(
        stored,
        taste=tastes.merge(stored.taste, blank.taste) if blank.taste.events and same_space else stored.taste,
        session=blank.session or stored.session,
        preferences=stored.preferences if blank.preferences == Preferences() else blank.preferences,
        seen=np.concatenate([stored.seen, blank.seen]),
        counted=np.concatenate([stored.counted, blank.counted]),
    )


def _base(viewer_id: str) -> str:
    return f"feed:{{{viewer_id}}}"


def _preferences(raw: bytes | None) -> Preferences:
    if not raw:
        return Preferences()
    try:
        return msgspec.msgpack.decode(raw, type=Preferences)
    except msgspec.DecodeError:
        return Preferences()
