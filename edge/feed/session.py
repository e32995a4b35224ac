"""A feed session: what was handed out, what comes next, and a cursor that never repeats or skips.

A cursor is a session id and a number of places handed out. Asking twice with one cursor gives the same places; asking
on with the newest gives new ones. Only the part not yet handed out (the tail) is ever reordered.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from edge.feed.errors import BadCursor
from inference.feed.recommender import Pick
from inference.feed.sources import Source

MAX_SERVED = 5000
"""Places remembered in one session; beyond it the oldest are forgotten (days of watching without a pause)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    id: str
    served: tuple[Pick, ...] = ()
    dropped: int = 0
    """Places forgotten at the front of `served`."""
    tail: tuple[Pick, ...] = ()
    events_since: int = 0
    """Watch events since the tail was retrieved."""
    stale: bool = False
    """The tail is to be ranked again before it is used."""
    before: tuple[int, ...] = ()
    """What the session before this one handed out: not shown again while there is anything else."""

    @property
    def position(self) -> int:
        return self.dropped + len(self.served)

    def replayed(self, position: int, count: int) -> tuple[Pick, ...]:
        """Places already handed out, from `position`."""
        start = max(position - self.dropped, 0)
        return self.served[start : start + count]

    def handed_out(self, picks: tuple[Pick, ...], *, tail: tuple[Pick, ...]) -> Session:
        served = self.served + picks
        excess = max(len(served) - MAX_SERVED, 0)
        return replace(self, served=served[excess:], dropped=self.dropped + excess, tail=tail)

    def disturbed(self, events: int) -> Session:
        """The taste changed: rank the tail again before use."""
        return replace(self, stale=True, events_since=self.events_since + events)

    def with_tail(self, tail: tuple[Pick, ...], *, retrieved: bool) -> Session:
        return replace(self, tail=tail, stale=False, events_since=0 if retrieved else self.events_since)

    def followed_by(self, session_id: str) -> Session:
        """A new session that avoids what this one showed last."""
        return Session(id=session_id, before=tuple(pick.video_id for pick in self.served[-200:]))


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


class _StoredPick(msgspec.Struct, frozen=True, array_like=True):
    video_id: int
    source: int
    score: float
    propensity: float


class _StoredSession(msgspec.Struct, frozen=True, array_like=True):
    version: int
    id: str
    served: list[_StoredPick]
    dropped: int
    tail: list[_StoredPick]
    events_since: int
    stale: bool
    before: bytes


def encode(session: Session) -> bytes:
    """About 22 bytes a place."""
    return msgspec.msgpack.encode(
        _StoredSession(
            1,
            session.id,
            [_store(pick) for pick in session.served],
            session.dropped,
            [_store(pick) for pick in session.tail],
            session.events_since,
            session.stale,
            np.array(session.before, "<i8").tobytes(),
        )
    )


def decode(raw: bytes) -> Session | None:
    """None for bytes of another version: the viewer gets a new session."""
    try:
        stored = msgspec.msgpack.decode(raw, type=_StoredSession)
        if stored.version != 1:
            return None
        return Session(
            id=stored.id,
            served=tuple(map(_restore, stored.served)),
            dropped=stored.dropped,
            tail=tuple(map(_restore, stored.tail)),
            events_since=stored.events_since,
            stale=stored.stale,
            before=tuple(np.frombuffer(stored.before, "<i8").tolist()),
        )
    except (msgspec.DecodeError, ValueError):
        return None


def _store(pick: Pick) -> _StoredPick:
    return _StoredPick(pick.video_id, int(pick.source), round(pick.score, 4), round(pick.propensity, 4))


def _restore(stored: _StoredPick) -> Pick:
    return Pick(
        video_id=stored.video_id, source=Source(stored.source), score=stored.score, propensity=stored.propensity
    )
