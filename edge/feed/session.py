"""A feed session: what was handed out, what comes next, and a cursor that never repeats or skips.

A cursor is a session id and a number of places handed out. Asking twice with one cursor gives the same places; asking
on with the newest gives new ones. Only the part not yet handed out (the tail) is ever reordered.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edge.feed.errors import BadCursor
from inference.feed.recommender import Pick
from inference.feed.sources import Source

MAX_REPLAYED = 200
"""Places that a cursor can ask for again; of older ones only the ids are kept, so that they never return."""


def _no_ids() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    served_ids: NDArray[np.int64] = msgspec.field(default_factory=_no_ids)
    """Everything handed out, in order."""
    served: tuple[Pick, ...] = ()
    """The last of it, as far as it can be asked for again."""
    tail: tuple[Pick, ...] = ()
    events_since: int = 0
    """Watch events since the tail was retrieved."""
    stale: bool = False
    """The tail is to be ranked again before it is used."""
    before: NDArray[np.int64] = msgspec.field(default_factory=_no_ids)
    """Ids that the session before this one handed out: not shown again while there is anything else."""
    lists: int = 0
    """Lists this viewer's sessions have had since they are in memory."""

    @property
    def position(self) -> int:
        return len(self.served_ids)

    @property
    def oldest_place(self) -> int:
        """The first place that can be asked for again."""
        return len(self.served_ids) - len(self.served)

    def replayed(self, position: int, count: int) -> tuple[Pick, ...]:
        """Places already handed out, from `position` (or from the oldest that is still known)."""
        start = max(position - self.oldest_place, 0)
        return self.served[start : start + count]

    def handed_out(self, picks: tuple[Pick, ...], *, tail: tuple[Pick, ...]) -> Session:
        served_ids = np.concatenate([self.served_ids, _ids(picks)])
        return replace(self, served_ids=served_ids, served=(self.served + picks)[-MAX_REPLAYED:], tail=tail)

    def disturbed(self, events: int) -> Session:
        """The taste changed: rank the tail again before use."""
        return replace(self, stale=True, events_since=self.events_since + events)

    def hands_out_as(self, other: Session | None) -> bool:
        """The same places handed out and to come: all that is worth storing. (A session that is read is stale.)"""
        if other is None or self.id != other.id:
            return False
        return self.served is other.served and self.tail is other.tail and self.before is other.before

    def with_tail(self, tail: tuple[Pick, ...], *, retrieved: bool) -> Session:
        if not retrieved:
            return replace(self, tail=tail, stale=False)
        return replace(self, tail=tail, stale=False, events_since=0, lists=self.lists + 1)

    def continues(self, earlier: Session) -> bool:
        """Is it the same session or one after it, and has no list been retrieved since?"""
        return self.lists == earlier.lists

    def with_tail_of(self, ranked: Session, tail: tuple[Pick, ...]) -> Session:
        """This session with a tail that was retrieved for an earlier state of it: what happened since is still to be
        ranked in. What was handed out since may be in it, and is passed over when places are taken."""
        since = self.events_since - ranked.events_since
        return replace(self, tail=tail, stale=since > 0, events_since=since, lists=self.lists + 1)

    def followed_by(self, session_id: str) -> Session:
        """A new session that avoids what this one showed last. What this one had not shown yet stands in until its
        own list is retrieved."""
        return Session(
            id=session_id,
            before=self.served_ids[-_AVOIDED:],
            tail=self.tail,
            stale=True,
            events_since=_RETRIEVE,
            lists=self.lists,
        )

    def forgotten(self) -> Session:
        """The taste behind the tail is gone, and so is the tail."""
        return replace(self, tail=(), lists=self.lists + 1)


_RETRIEVE = 1_000
"""More events than any list outlives."""
_AVOIDED = 200
"""Videos of the last session that the next one avoids."""


def _ids(picks: tuple[Pick, ...]) -> NDArray[np.int64]:
    return np.array([pick.video_id for pick in picks], np.int64)


TIE = 0.05
"""Difference of scores (z-scores) within which two neighbours are as good as each other."""


def cached_first(picks: tuple[Pick, ...], is_cached: Callable[[Pick], bool], *, head: int) -> tuple[Pick, ...]:
    """Swap neighbours in the first `head` places whose scores tie and of which only the second is cached.

    A pick moves by at most one place, and a place for a new video is never touched.
    """
    order = list(picks)
    at = 0
    while at + 1 < min(head, len(order)):
        first, second = order[at], order[at + 1]
        fixed = Source.EXPLORE in (first.source, second.source)
        tie = not fixed and abs(first.score - second.score) < TIE
        if tie and is_cached(second) and not is_cached(first):
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
            session.served_ids[: session.oldest_place].astype("<i8").tobytes(),
            session.tail,
            session.events_since,
            session.before.astype("<i8").tobytes(),
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
            served_ids=np.concatenate([np.frombuffer(stored.older, "<i8"), _ids(stored.served)]),
            served=stored.served,
            tail=stored.tail,
            events_since=stored.events_since,
            stale=True,
            before=np.frombuffer(stored.before, "<i8"),
        )
    except (msgspec.DecodeError, ValueError):
        return None
