"""Commands of many requests in one round trip to Valkey ("group commit", DeWitt et al., SIGMOD 1984).

What arrives while a trip is under way leaves with the next one, so a busy process pays for one write, one read and
one sync of the append-only file for all its waiting requests, and an idle one never waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hiredis import PushNotification, Reader, pack_command
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, InvalidResponse, RedisError, ResponseError

Command = tuple[str | bytes | int | float, ...]
_MOST_WAITING = 20_000
"""Commands; beyond them Valkey is not keeping up and callers are refused."""


@dataclass(slots=True)
class _Request:
    commands: tuple[Command, ...]
    done: asyncio.Future[list[Any]]
    patience: asyncio.TimerHandle | None


class RoundTrips:
    """Runs on one event loop, on a connection of its own that is opened when needed; close it.

    Nothing is tried twice here: a caller knows whether its commands may be repeated.
    """

    def __init__(self, valkey: Redis, *, timeout_s: float = 5.0) -> None:
        """`timeout_s` bounds one trip, and the opening of the connection before it."""
        self._valkey = valkey
        self._timeout_s = timeout_s
        self._line: _Line | None = None
        self._waiting: list[_Request] = []
        self._commands = 0
        self._under_way: list[_Request] = []
        self._replies: list[Any] = []
        self._due = 0
        """Replies that the trip under way waits for."""
        self._deadline: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    async def close(self) -> None:
        """Finish what was sent."""
        await self._idle.wait()
        self._hang_up()

    def send(self, *commands: Command, within_s: float | None = None) -> asyncio.Future[list[Any]]:
        """Queue commands, which run in order and without others between them; the future holds their replies.

        It raises RedisError (the first command that failed, or Valkey away), OSError or TimeoutError, the last after
        `within_s` at most. Neither that nor cancelling it takes commands back.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Any]] = loop.create_future()
        if self._commands + len(commands) > _MOST_WAITING:
            done.set_exception(BusyLoadingError("too many commands wait for Valkey"))
            return done
        patience = loop.call_later(within_s, _fail, done, TimeoutError()) if within_s is not None else None
        self._waiting.append(_Request(commands, done, patience))
        self._commands += len(commands)
        if self._idle.is_set():
            self._idle.clear()
            loop.call_soon(self._leave)  # with what else this turn of the loop sends
        return done

    def _leave(self) -> None:
        """The next trip, with everything that waits."""
        if not self._waiting:
            self._idle.set()
        elif self._line is None:
            self._opening = asyncio.create_task(self._open(), name="valkey-open")
        else:
            self._under_way, self._waiting = self._waiting, []
            self._due, self._commands = self._commands, 0
            self._deadline = asyncio.get_running_loop().call_later(self._timeout_s, self._fail_trip, TimeoutError())
            self._line.write([command for request in self._under_way for command in request.commands])

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                self._line = await _opened(self._valkey, arrived=self._arrived, lost=self._fail_trip)
        except (RedisError, OSError, TimeoutError) as err:
            self._under_way, self._waiting, self._commands = self._waiting, [], 0
            self._fail_trip(err)
            return
        except BaseException:  # the loop is closing
            for request in self._waiting:
                request.done.cancel()
            self._waiting, self._commands = [], 0
            self._idle.set()
            raise
        self._leave()

    def _arrived(self, replies: list[Any]) -> None:
        self._replies += replies
        if len(self._replies) > self._due:
            self._fail_trip(InvalidResponse("Valkey answered more than it was asked"))
        elif len(self._replies) == self._due:
            answered, replies = self._end_trip()
            start = 0
            for request in answered:
                end = start + len(request.commands)
                _settle(request, replies[start:end])
                start = end
            self._leave()

    def _fail_trip(self, err: Exception) -> None:
        """The connection is of no use any more: nobody knows whose the next reply would be."""
        self._hang_up()
        failed, _ = self._end_trip()
        for request in failed:
            _fail(request.done, err)
        if failed:
            self._leave()

    def _end_trip(self) -> tuple[list[_Request], list[Any]]:
        if self._deadline is not None:
            self._deadline.cancel()
        requests, self._under_way = self._under_way, []
        replies, self._replies, self._due = self._replies, [], 0
        return requests, replies

    def _hang_up(self) -> None:
        if self._line is not None:
            line, self._line = self._line, None
            line.close()


class _Line(asyncio.Protocol):
    """A connection after its handshake. Replies are parsed where they arrive: a stream that is awaited for each of them
    costs ten times as much."""

    def __init__(
        self, connection: Any, *, arrived: Callable[[list[Any]], None], lost: Callable[[Exception], None]
    ) -> None:
        """Takes the connection over. `arrived` gets replies in order, `lost` why there will be no more of them."""
        self._connection = connection
        self._arrived = arrived
        self._lost: Callable[[Exception], None] | None = lost
        self._reader = Reader(protocolError=InvalidResponse, replyError=ResponseError, notEnoughData=_NO_MORE)
        self._transport: asyncio.Transport = connection._writer.transport
        self._transport.set_protocol(self)

    def write(self, commands: list[Command]) -> None:
        self._transport.write(b"".join([_packed(command) for command in commands]))

    def data_received(self, data: bytes) -> None:
        replies: list[Any] = []
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _NO_MORE:
                if not isinstance(reply, PushNotification):
                    replies.append(reply)
        except RedisError as err:
            self._end(err)
        else:
            if replies:
                self._arrived(replies)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionError("Valkey closed the connection"))

    def close(self) -> None:
        """Nothing is reported any more."""
        self._lost = None
        self._transport.abort()
        self._connection._close()

    def _end(self, err: Exception) -> None:
        if self._lost is not None:
            self._lost(err)


_NO_MORE: Any = object()
_packed: Any = pack_command  # its stub knows tuples of one


async def _opened(valkey: Redis, *, arrived: Callable[[list[Any]], None], lost: Callable[[Exception], None]) -> _Line:
    """A connection with what the client's pool knows: address, TLS, password, database, protocol."""
    pool: Any = valkey.connection_pool  # some methods of these two are not annotated
    made: Any = pool.make_connection()
    made.retry = Retry(NoBackoff(), 0)
    made.socket_timeout = None  # the timeout around this covers it
    try:
        await made.connect()
    except BaseException:
        await made.disconnect(nowait=True)
        raise
    return _Line(made, arrived=arrived, lost=lost)


def _settle(request: _Request, replies: list[Any]) -> None:
    if request.patience is not None:
        request.patience.cancel()
    broken = next((reply for reply in replies if isinstance(reply, Exception)), None)
    if broken is not None:
        _fail(request.done, broken)
    elif not request.done.done():
        request.done.set_result(replies)


def _fail(done: asyncio.Future[list[Any]], err: Exception) -> None:
    if not done.done():
        done.set_exception(err)
        done.exception()  # a caller that stopped waiting is no error of the loop's
