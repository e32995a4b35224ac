"""Whom a user follows and with whom there is a block: what a PoP's feed needs to know of the social graph."""

from __future__ import annotations

from foundation.wire import Wire

MAX_FOLLOWING = 5000
"""Newest follows carried; more would cost every PoP memory for feeds nobody scrolls to the end of."""


class UserRelations(Wire, frozen=True, kw_only=True):
    """Reply of the origin's GET /internal/v1/users/{id}/relations. User ids."""

    following: tuple[str, ...] = ()
    """At most MAX_FOLLOWING, newest first."""
    blocked: tuple[str, ...] = ()
    """Blocks in either direction, and mutes by this user."""
