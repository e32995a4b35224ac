"""LISTEN on one server, as events that tasks await: long polls, the relay and the job workers wake without polling.

A notification is a hint, never the truth: waiters look at the tables again, also after each reconnect and time-out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

_log = logging.getLogger(__name__)
_RECONNECT_S = 0.5


class Watch:
    """One waiter on a channel; `key` "" hears every payload."""

    def __init__(self, channel: str, key: str) -> None:
        self.channel = channel
        self.key = key
        self._event = asyncio.Event()

    async def changed(self, *, timeout_s: float) -> bool:
        """Wait for a notification since the last call; False when the time ran out."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        finally:
            self._event.clear()
        return True

    def wake(self) -> None:
        self._event.set()


class Listener:
    """Owns one connection that LISTENs; `run()` is a task of the composition and reconnects for ever."""

    def __init__(self, dsn: str, *, channels: tuple[str, ...]) -> None:
        self._dsn = str.__str__(dsn)
        self._channels = channels
        self._watches: set[Watch] = set()
        self._ended = asyncio.Event()

    @asynccontextmanager
    async def watch(self, channel: str, key: str = "") -> AsyncIterator[Watch]:
        """Hear `channel` while inside. Look at the state after entering and before waiting: nothing is missed."""
        assert channel in self._channels, f"the listener does not LISTEN to {channel}"
        watch = Watch(channel, key)
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    async def run(self) -> None:
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as err:
                _log.info("listening connection lost", extra={"event": "listen_lost", "cause": type(err).__name__})
            await asyncio.sleep(_RECONNECT_S)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=5)
        self._ended.clear()
        try:
            connection.add_termination_listener(lambda _: self._ended.set())
            for channel in self._channels:
                await connection.add_listener(channel, self._heard)
            self._wake_all()  # what was said while we were away
            await self._ended.wait()
        finally:
            with suppress(Exception):  # a dead connection may fail to close; nothing depends on it
                await connection.close(timeout=2)

    def _heard(self, connection: object, pid: int, channel: str, payload: object) -> None:
        for watch in self._watches:
            if watch.channel == channel and watch.key in ("", payload):
                watch.wake()

    def _wake_all(self) -> None:
        for watch in self._watches:
            watch.wake()
