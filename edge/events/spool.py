"""The PoP's event stream in Valkey. An entry leaves only by `acknowledge`."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from foundation.errors import Unavailable
from foundation.stores.round_trips import Command, RoundTrips
from foundation.wire.events import WatchEvent

STREAM = "events:watch"
START = b"0-0"
_FIELD = b"e"
_decode = msgspec.json.Decoder(WatchEvent).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """Entries in order: `events` lie under `ids`; `broken` ones could not be read and are only acknowledged."""

    ids: tuple[bytes, ...]
    events: tuple[WatchEvent, ...]
    broken: tuple[bytes, ...] = ()


class EventSpool:
    """Bounded: beyond `most_events` new ones are refused with Unavailable, so that players keep and resend them."""

    def __init__(self, valkey: Redis, *, most_events: int = 5_000_000, trips: RoundTrips | None = None) -> None:
        """`trips` shares round trips with other writers of the process."""
        self._valkey = valkey
        self._trips = trips
        self._most_events = most_events
        self._full = False

    async def append(self, events: Sequence[WatchEvent]) -> None:
        """Returns once Valkey has the events in its append-only file. Raises Unavailable, also when full.

        The bound is checked with the length seen last: it may be passed by the batches under way.
        """
        await self.check_room()
        await self.stored(self.send(events))

    async def check_room(self) -> None:
        """Raises Unavailable when the spool is full."""
        if not self._full:
            return
        try:
            length = await self._valkey.xlen(STREAM)
        except (RedisError, OSError, TimeoutError) as err:
            raise _away() from err
        if length >= self._most_events:
            raise Unavailable("the spool of watch events is full: send them again later", retry_after_s=30)

    def send(self, events: Sequence[WatchEvent]) -> Awaitable[list[Any]]:
        """The middle of `append`: with shared round trips the events leave with the next one, before what is sent
        later; `stored` tells how that went."""
        adds: list[Command] = [("XADD", STREAM, "*", _FIELD, msgspec.json.encode(event)) for event in events]
        commands = [*adds, ("XLEN", STREAM)]
        return self._trips.send(*commands) if self._trips is not None else self._alone(commands)

    async def stored(self, sent: Awaitable[list[Any]]) -> None:
        """Raises Unavailable (nothing stored for sure)."""
        try:
            *_, length = await sent
        except (RedisError, OSError, TimeoutError) as err:
            raise _away() from err
        self._full = length >= self._most_events

    async def _alone(self, commands: list[Command]) -> list[Any]:
        pipe = self._valkey.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        return await pipe.execute()

    async def oldest(self, count: int, *, wait_ms: int | None, after: bytes = START) -> Spooled:
        """Up to `count` entries after `after`; waits for the first unless `wait_ms` is None. Raises Unavailable."""
        try:
            got: Any = await self._valkey.xread({STREAM: after}, count=count, block=wait_ms)
        except (RedisError, OSError, TimeoutError) as err:
            raise Unavailable(f"the spool: {type(err).__name__}") from err
        entries = got[0][1] if got else []
        ids: list[bytes] = []
        events: list[WatchEvent] = []
        broken: list[bytes] = []
        for entry_id, fields in entries:
            try:
                events.append(_decode(fields[_FIELD]))
            except (KeyError, msgspec.DecodeError):
                broken.append(entry_id)
            else:
                ids.append(entry_id)
        return Spooled(ids=tuple(ids), events=tuple(events), broken=tuple(broken))

    async def acknowledge(self, ids: Sequence[bytes]) -> None:
        """Forget entries the origin has. Raises Unavailable (they are then sent again)."""
        try:
            await self._valkey.xdel(STREAM, *ids)
        except (RedisError, OSError, TimeoutError) as err:
            raise Unavailable(f"the spool: {type(err).__name__}") from err

    async def length(self) -> int:
        try:
            return int(await self._valkey.xlen(STREAM))
        except (RedisError, OSError, TimeoutError):
            return 0


def _away() -> Unavailable:
    return Unavailable("watch events cannot be stored right now: send them again", retry_after_s=2)
