"""Orders of the centre carried out at the PoP: purges and ended sessions."""

from __future__ import annotations

import logging
from typing import Protocol

import msgspec

from foundation.ids import UserId, parse_id
from foundation.tokens.access import Revoked
from foundation.wire.pops import PurgeLog, PurgeOrder, Revocations

_log = logging.getLogger(__name__)


class Purgeable(Protocol):
    """The delivery cache as far as purges go."""

    async def purge(self, order: PurgeOrder) -> object: ...

    def caught_up(self) -> None:
        """Every purge ordered while the PoP was away has been applied."""
        ...


class PurgeOrders:
    """Applies pages of the purge log in order; `seq` is the last one applied, kept by the cache itself."""

    def __init__(self, cache: Purgeable, *, seq: int) -> None:
        self._cache = cache
        self.seq = seq

    async def apply(self, body: bytes) -> int:
        """Carry out a `PurgeLog`.

        The cache is emptied first when the log does not go on from here: this PoP was away for longer than the log
        reaches, or the log ends before it (the control database came back from a backup: what was ordered in its lost
        part, and what the same numbers will mean now, nobody knows).
        """
        log = msgspec.json.decode(body, type=PurgeLog)
        if not log.floor <= self.seq <= log.head:
            told = {"event": "purge_all", "seq": self.seq, "floor": log.floor, "head": log.head}
            _log.warning("the purge log does not go on from here: emptying the cache", extra=told)
            self.seq = min(max(self.seq, log.floor), log.head)
            await self._cache.purge(PurgeOrder(seq=self.seq, prefix="/"))
        for order in log.orders:
            await self._cache.purge(order)
            self.seq = order.seq
        if self.seq >= log.head:
            self._cache.caught_up()
        return self.seq


class EndedSessions:
    """Applies pages of the revocation log. The position is not kept: after a restart the log of the last quarter of an
    hour, all that can still matter, is read again."""

    def __init__(self, revoked: Revoked) -> None:
        self._revoked = revoked
        self._seq = 0

    async def apply(self, body: bytes) -> int:
        page = msgspec.json.decode(body, type=Revocations)
        for ended in page.revocations:
            self._revoked.add(
                user_id=UserId(parse_id(ended.user_id)), session_id=ended.session_id, at_s=ended.at_ms / 1000
            )
            self._seq = max(self._seq, ended.seq)
        return max(self._seq, page.head if not page.revocations else 0)
