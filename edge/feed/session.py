"""A feed session: what was handed out, what comes next, and a cursor that never repeats or skips.

A cursor is a session id and a number of places handed out. Asking twice with one cursor gives the same places; asking
on with the newest gives new ones. Only the part not yet handed out (the tail) is ever reordered.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.feed.errors import BadCursor
from inference.feed.recommender import Pick
from inference.feed.sources import Source

MAX_REPLAYED = 200
"""Places that a cursor can ask for again; of older ones only the ids are kept, so that they never return."""


def _no_ids() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    id: str
    served: tuple[Pick, ...] = ()
    older: NDArray[np.int64] = field(default_factory=_no_ids)
    """Ids handed out before those in `served`."""
    tail: tuple[Pick, ...] = ()
    events_since: int = 0
    """Watch events since the tail was retrieved."""
    stale: bool = False
    """The tail is to be ranked again before it is used."""
    before: tuple[int, ...] = ()
    """What the session before this one handed out: not shown again while there is anything else."""

    @property
    def position(self) -> int:
        return len(self.older) + len(self.served)

    def served_ids(self) -> NDArray[np.int64]:
        """Everything handed out, in order."""
        return np.concatenate([self.older, np.array([pick.video_id for pick in self.served], np.int64)])

    def replayed(self, position: int, count: int) -> tuple[Pick, ...]:
        """Places already handed out, from `position` (or from the oldest that is still known)."""
        start = max(position - len(self.older), 0)
        return self.served[start : start + count]

    def handed_out(self, picks: tuple[Pick, ...], *, tail: tuple[Pick, ...]) -> Session:
        served = self.served + picks
        excess = max(len(served) - MAX_REPLAYED, 0)
        ageing = np.array([pick.video_id for pick in served[:excess]], np.int64)
        return replace(self, served=served[excess:], older=np.concatenate([self.older, ageing]), tail=tail)

    def disturbed(self, events: int) -> Session:
        """The taste changed: rank the tail again before use."""
        return replace(self, stale=True, events_since=self.events_since + events)

    def hands_out_as(self, other: Session | None) -> bool:
        """The same places handed out and to come: all that is worth storing. (A session that is read is stale.)"""
        if other is None or self.id != other.id:
            return False
        return self.served is other.served and self.tail is other.tail and self.before is other.before

    def with_tail(self, tail: tuple[Pick, ...], *, retrieved: bool) -> Session:
        return replace(self, tail=tail, stale=False, events_since=0 if retrieved else self.events_since)

    def continues(self, earlier: Session) -> bool:
        """Is it the same session, and has no list been retrieved since?"""
        return self.id == earlier.id and self.events_since >= earlier.events_since

    def with_tail_of(self, ranked: Session, tail: tuple[Pick, ...]) -> Session:
        """This session with a tail that was retrieved for an earlier state of it: what happened since is still to be
        ranked in. What was handed out since may be in it, and is passed over when places are taken."""
        since = self.events_since - ranked.events_since
        return replace(self, tail=tail, stale=since > 0, events_since=since)

    def followed_by(self, session_id: str) -> Session:
        """A new session that avoids what this one showed last. What this one had not shown yet stands in until its
        own list is retrieved."""
        before = tuple(pick.video_id for pick in self.served[-200:])
        return Session(id=session_id, before=before, tail=self.tail, stale=True, events_since=_RETRIEVE)

    def forgotten(self) -> Session:
        """The taste behind the tail is gone, and so is the tail."""
        return replace(self, tail=())


_RETRIEVE = 1_000
"""More events than any list outlives."""


TIE = 0.05
"""Difference of scores (z-scores) within which two neighbours are as good as each other."""


def cached_first(picks: tuple[Pick, ...], is_cached: Callable[[Pick], bool], *, head: int) -> tuple[Pick, ...]:
    """Swap neighbours in the first `head` places whose scores tie and of which only the second is cached.

    A pick moves by at most one place, and a place for a new video is never touched.
    """
    order = list(picks)
    cached = [is_cached(pick) for pick in order[:head]]
    at = 0
    while at + 1 < len(cached):
        first, second = order[at], order[at + 1]
        fixed = Source.EXPLORE in (first.source, second.source)
        if cached[at + 1] and not cached[at] and not fixed and abs(first.score - second.score) < TIE:
            order[at], order[at + 1] = second, first
            at += 1  # both have moved
        at += 1
    return tuple(order)


def make_cursor(session_id: str, position: int) -> str:
    return base64.urlsafe_b64encode(f"{session_id}.{position}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[str, int]:
    """Session id and position. Raises BadCursor."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        session_id, _, position = text.partition(".")
        if len(cursor) > 64 or not session_id or not position.isdigit() or len(position) > 9:
            raise ValueError(text)
        return session_id, int(position)
    except (binascii.Error, ValueError) as err:
        raise BadCursor("start again without a cursor") from err


class _StoredSession(msgspec.Struct, frozen=True, array_like=True):
    version: int
    id: str
    served: tuple[Pick, ...]
    older: bytes
    tail: tuple[Pick, ...]
    events_since: int
    before: bytes


_decoder = msgspec.msgpack.Decoder(_StoredSession)
_encoder = msgspec.msgpack.Encoder()


def encode(session: Session) -> bytes:
    """About 30 bytes a place that can be asked for again or comes next, 8 bytes an older one."""
    return _encoder.encode(
        _StoredSession(
            3,
            session.id,
            session.served,
            session.older.astype("<i8").tobytes(),
            session.tail,
            session.events_since,
            np.array(session.before, "<i8").tobytes(),
        )
    )


def decode(raw: bytes) -> Session | None:
    """None for bytes of another version: the viewer gets a new session."""
    try:
        stored = _decoder.decode(raw)
        if stored.version != 3:
            return None
        return Session(
            id=stored.id,
            served=stored.served,
            older=np.frombuffer(stored.older, "<i8"),
            tail=stored.tail,
            events_since=stored.events_since,
            stale=True,
            before=tuple(np.frombuffer(stored.before, "<i8").tolist()),
        )
    except (msgspec.DecodeError, ValueError):
        return None
