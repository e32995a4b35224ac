"""Errors of the feed. A feed request itself never fails for want of a dependency: it degrades.

RequestError
└── BadCursor          400  a cursor this feed did not make
PopreelError
└── StoreAway          503  Valkey did not answer; caught inside the package, except for watch events
"""

from __future__ import annotations

from foundation.errors import BadInput, Unavailable


class BadCursor(BadInput):
    code = "bad-cursor"
    title = "The cursor is not valid"


class StoreAway(Unavailable):
    code = "store-away"
    title = "The viewer store does not answer"
