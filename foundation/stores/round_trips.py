"""Commands of many requests in one round trip to Valkey ("group commit", DeWitt et al., SIGMOD 1984).

What arrives while a trip is under way leaves with the next one, so a busy process pays for one write, one read and
one sync of the append-only file for all its waiting requests, and an idle one never waits.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError, ResponseError

Command = tuple[str | bytes | int | float, ...]
_Waiting = tuple[tuple[Command, ...], asyncio.Future[list[Any]]]
_CHECK_AFTER_S = 1.0
"""Idle time after which the connection is looked at before it is used."""
_MOST_WAITING = 20_000
"""Commands; beyond them Valkey is not keeping up and callers are refused."""


class RoundTrips:
    """Runs on one event loop, on a connection of its own that is opened when needed; close it.

    Nothing is tried twice here: a caller knows whether its commands may be repeated.
    """

    def __init__(self, valkey: Redis, *, timeout_s: float = 5.0) -> None:
        """`timeout_s` bounds one trip; callers who want to wait less put a timeout around what they await."""
        self._valkey = valkey
        self._timeout_s = timeout_s
        self._connection: AbstractConnection | None = None
        self._used_s = 0.0
        self._waiting: list[_Waiting] = []
        self._commands = 0
        self._trip: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Finish the trip under way."""
        if self._trip is not None:
            await asyncio.gather(self._trip, return_exceptions=True)
        await self._disconnect()

    def send(self, *commands: Command) -> asyncio.Future[list[Any]]:
        """Queue commands, which run in order and without others between them; the future holds their replies.

        It raises RedisError (the first command that failed, or Valkey away), OSError or TimeoutError. Cancelling it
        does not take commands back.
        """
        done: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        if self._commands + len(commands) > _MOST_WAITING:
            done.set_exception(BusyLoadingError("too many commands wait for Valkey"))
            return done
        self._waiting.append((commands, done))
        self._commands += len(commands)
        if self._trip is None:
            self._trip = asyncio.create_task(self._travel(), name="valkey-trips")
        return done

    async def _travel(self) -> None:
        try:
            while self._waiting:
                leaving, self._waiting, self._commands = self._waiting, [], 0
                await self._run(leaving)
        finally:
            self._trip = None

    async def _run(self, leaving: list[_Waiting]) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                replies = await self._exchange([command for commands, _ in leaving for command in commands])
        except (RedisError, OSError, TimeoutError) as err:
            await self._disconnect()
            for _, done in leaving:
                _fail(done, err)
            return
        except BaseException:  # the loop is closing
            for _, done in leaving:
                done.cancel()
            raise
        start = 0
        for commands, done in leaving:
            own = replies[start : start + len(commands)]
            start += len(commands)
            broken = next((reply for reply in own if isinstance(reply, Exception)), None)
            if broken is not None:
                _fail(done, broken)
            elif not done.done():
                done.set_result(own)

    async def _exchange(self, commands: list[Command]) -> list[Any]:
        connection = await self._connected()
        await connection.send_packed_command(b"".join([_packed(command) for command in commands]), check_health=False)
        replies: list[Any] = []
        for _ in commands:
            try:
                replies.append(await connection.read_response())
            except ResponseError as err:  # of this command alone
                replies.append(err)
        return replies

    async def _connected(self) -> AbstractConnection:
        """The connection; a new one after a failure, or when Valkey hung up while there was nothing to do."""
        now_s = asyncio.get_running_loop().time()
        idle_s, self._used_s = now_s - self._used_s, now_s
        if self._connection is not None and idle_s > _CHECK_AFTER_S and await _is_broken(self._connection):
            await self._disconnect()
        if self._connection is None:
            pool: Any = self._valkey.connection_pool  # some methods of these two are not annotated
            made: Any = pool.make_connection()
            made.retry = Retry(NoBackoff(), 0)
            made.socket_timeout = None  # the timeout around the trip covers it
            await made.connect()
            self._connection = made
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.disconnect(nowait=True)


_packed: Any = pack_command  # its stub knows tuples of one


async def _is_broken(connection: AbstractConnection) -> bool:
    try:
        return bool(await connection.can_read())  # an answer nobody asked for is no good sign either
    except (RedisError, OSError):
        return True


def _fail(done: asyncio.Future[list[Any]], err: Exception) -> None:
    if not done.done():
        done.set_exception(err)
        done.exception()  # a caller that stopped waiting is no error of the loop's
