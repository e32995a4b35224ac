"""Snowflake ids: 41 bits of milliseconds, 10 of node, 12 of sequence (the layout Twitter published in 2010).

An id is an int inside Python and Postgres and a decimal string on the wire (JSON numbers lose bits above 2**53).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Annotated, NewType

from msgspec import Meta

from foundation.errors import BadInput

UserId = NewType("UserId", int)
VideoId = NewType("VideoId", int)
CommentId = NewType("CommentId", int)

EPOCH_MS = 1_735_689_600_000  # 2025-01-01T00:00:00Z; 41 bits of ms last until 2094
_NODE_BITS = 10
_SEQUENCE_BITS = 12
MAX_ID = 2**63 - 1
ID_PATTERN = "^(?:[1-9][0-9]{0,17}|[1-8][0-9]{18}|9[01][0-9]{17})$"
"""The wire form, for schemas: no sign, no leading zero (one id, one text, one cache key), below 2**63."""
ID_IN_PATH = ID_PATTERN[1:-1]
"""The same inside a route: `{id:...}`; for paths that must not match anything else."""
IdText = Annotated[str, Meta(pattern=ID_PATTERN)]
"""An id in a body or query."""


class Snowflake:
    """Makes ids that rise with time and never repeat for one `node` (0..1023). Safe to call from several threads.

    A clock that steps back is waited out by counting on from the last millisecond used.
    """

    def __init__(self, *, node: int, clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        if not 0 <= node < 1 << _NODE_BITS:
            raise ValueError(f"node {node} is not in 0..{(1 << _NODE_BITS) - 1}")
        self._node = node
        self._clock_ms = clock_ms
        self._last_ms = 0
        self._sequence = 0
        self._lock = threading.Lock()  # guards _last_ms and _sequence

    def next_id(self) -> int:
        with self._lock:
            now_ms = max(self._clock_ms() - EPOCH_MS, self._last_ms)
            if now_ms == self._last_ms:
                self._sequence = (self._sequence + 1) & ((1 << _SEQUENCE_BITS) - 1)
                if self._sequence == 0:  # 4096 ids in this millisecond: borrow the next
                    now_ms += 1
            else:
                self._sequence = 0
            self._last_ms = now_ms
            return now_ms << (_NODE_BITS + _SEQUENCE_BITS) | self._node << _SEQUENCE_BITS | self._sequence


def created_ms(snowflake: int) -> int:
    """Unix milliseconds at which the id was made."""
    return (snowflake >> (_NODE_BITS + _SEQUENCE_BITS)) + EPOCH_MS


_ID = re.compile(r"[1-9][0-9]{0,18}")


def parse_id(text: str) -> int:
    """The id behind its wire form: 1 to 19 ASCII digits, the first not 0. Raises BadInput."""
    if not _ID.fullmatch(text) or int(text) > MAX_ID:
        raise BadInput(f"{text[:40]!r} is not an id: ids are decimal numbers in a string")
    return int(text)
