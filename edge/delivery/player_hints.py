"""Acting on CMCD: urgent requests first, next objects fetched ahead, starved players counted.

Hits of the fast lane hand their CMCD over unread; it is read here, behind the answers, from a bounded queue.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from urllib.parse import unquote

from edge.delivery.access import Gatekeeper
from edge.delivery.ask import Target, parse_target
from edge.delivery.prefetcher import PrefetchOrder
from edge.delivery.rules.cmcd import MAX_CMCD_CHARS, NO_CMCD, Cmcd, parse_cmcd, resolve
from edge.delivery.tally import Tally
from foundation.errors import RequestError

MAX_WAITING = 1024
BATCH = 64
_QUOTED = re.compile(rb'"[^"\\]*"')
_COUNTED = (b"su", b"bs")
Order = Callable[[str, Sequence[PrefetchOrder]], None]
"""A stream (Cmcd.stream) and all it wants next."""


class PlayerHints:
    def __init__(self, *, gatekeeper: Gatekeeper, tally: Tally, path_prefix: str, order: Order) -> None:
        self._gatekeeper = gatekeeper
        self._tally = tally
        self._path_prefix = path_prefix
        self._order = order
        self._waiting: deque[tuple[bytes, bytes]] = deque(maxlen=MAX_WAITING)
        self._work = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def take(self, target: bytes, cmcd: bytes) -> None:
        """Of a fast hit: keep for later; when too much waits the oldest hint is lost.

        Most fields name no next object and have nothing but words where it matters: they are counted at once.
        """
        if b"nor" in cmcd or b"%" in cmcd or len(cmcd) > MAX_CMCD_CHARS:
            self._keep(target, cmcd)
            return
        words: Sequence[bytes] = ()
        if b"su" in cmcd or b"bs" in cmcd:
            words = _QUOTED.sub(b"", cmcd).split(b",")
            if any(key in cmcd and key not in words for key in _COUNTED):  # written in another way, or part of a name
                self._keep(target, cmcd)
                return
        self._tally.cmcd_requests += 1
        self._tally.cmcd_starting += b"su" in words
        self._tally.cmcd_starved += b"bs" in words

    def _keep(self, target: bytes, cmcd: bytes) -> None:
        self._waiting.append((target, cmcd))
        self._work.set()

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                for _ in range(min(BATCH, len(self._waiting))):
                    self._read_one(*self._waiting.popleft())
                await asyncio.sleep(0)  # between batches viewers come first

    def _read_one(self, raw_target: bytes, raw_cmcd: bytes) -> None:
        cmcd = parse_cmcd(unquote(raw_cmcd.decode("latin-1")))
        self._count(cmcd)
        if cmcd.next_objects:
            with suppress(RequestError):
                self._order_next(parse_target(raw_target.decode("latin-1")), cmcd)

    def act_on(self, target: Target, cmcd: Cmcd) -> None:
        """Count, and order what the player wants next as far as this request's own rights reach."""
        self._count(cmcd)
        if cmcd.next_objects:
            self._order_next(target, cmcd)

    def _count(self, cmcd: Cmcd) -> None:
        if cmcd is not NO_CMCD:
            self._tally.cmcd_requests += 1
            self._tally.cmcd_starting += cmcd.is_starting
            self._tally.cmcd_starved += cmcd.was_starved

    def _order_next(self, target: Target, cmcd: Cmcd) -> None:
        orders = [
            PrefetchOrder(path=path, span=wanted.span, stream=cmcd.stream)
            for wanted in cmcd.next_objects
            if (path := resolve(target.path, wanted.reference)) is not None and self._is_allowed(target, path)
        ]
        if orders:
            self._order(cmcd.stream, orders)

    def _is_allowed(self, target: Target, path: str) -> bool:
        """Inside the delivered paths, and inside the token's prefix where the request had a token."""
        try:
            wanted = parse_target(path)
            if target.token:
                self._gatekeeper.admit(Target(key=wanted.key, path=wanted.path, token=target.token, cmcd=""))
        except RequestError:
            return False
        return wanted.path.startswith(self._path_prefix) and not wanted.token

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
