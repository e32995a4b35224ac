"""Workers of one PoP tell each other what they must know: purges, and uses of slices another owns.

Datagram sockets in the cache directory, one per slot. A purge is acknowledged by every living worker before it counts
as done; a dead one reads the journal when it starts. Uses are hints: sent in batches, lost without harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

_log = logging.getLogger(__name__)
ACK_TIMEOUT_S = 2.0
HINT_EVERY_S = 1.0
MAX_DATAGRAM = 60_000
MAX_HINTS = 500


class PurgeNews(msgspec.Struct, frozen=True, tag="purge"):
    """The journal has grown: read it, then acknowledge."""

    sender: int
    ticket: int


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    sender: int
    ticket: int


class SliceHints(msgspec.Struct, frozen=True, tag="slices"):
    """Slices the receiver owns: (body id, index, size if newly written else 0, uses)."""

    slices: tuple[tuple[str, int, int, int], ...]


Message = PurgeNews | Ack | SliceHints
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


class Workers:
    """This worker's line to its siblings."""

    def __init__(
        self,
        folder: Path,
        *,
        slot: int,
        slots: int,
        on_purge: Callable[[], None],
        on_slice: Callable[[str, int, int, int], None],
    ) -> None:
        self._folder = folder
        self._slot, self._slots = slot, slots
        self._on_purge = on_purge
        self._on_slice = on_slice
        self._socket: socket.socket | None = None
        self._tickets = 0
        self._waiting: dict[int, set[int]] = {}
        self._acked = asyncio.Event()
        self._uses: Counter[tuple[str, int]] = Counter()
        self._sizes: dict[tuple[str, int], int] = {}
        self._task: asyncio.Task[None] | None = None

    def _address(self, slot: int) -> str:
        return str(self._folder / f"worker-{slot}.sock")

    def start(self) -> None:
        """Bind this slot's socket, taking over a dead predecessor's. Raises OSError."""
        line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        line.setblocking(False)
        Path(self._address(self._slot)).unlink(missing_ok=True)
        line.bind(self._address(self._slot))
        self._socket = line
        asyncio.get_running_loop().add_reader(line.fileno(), self._receive)
        self._task = asyncio.create_task(self._send_hints())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._address(self._slot))  # noqa: PTH108  # one system call, no thread worth it

    # -- purges ------------------------------------------------------------------------------------------------------

    async def announce_purge(self) -> None:
        """Tell the siblings to read the journal; returns when every living one has, or after a timeout (logged)."""
        self._tickets += 1
        ticket = self._tickets
        told = {slot for slot in self._siblings() if self._send(slot, PurgeNews(self._slot, ticket))}
        self._waiting[ticket] = told
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                while self._waiting[ticket]:
                    self._acked.clear()
                    await self._acked.wait()
        except TimeoutError:
            _log.error(
                "a worker did not acknowledge a purge",
                extra={"event": "purge_unacknowledged", "slots": sorted(self._waiting[ticket])},
            )
        finally:
            del self._waiting[ticket]

    def _siblings(self) -> list[int]:
        return [slot for slot in range(self._slots) if slot != self._slot]

    # -- hints -------------------------------------------------------------------------------------------------------

    def note_use(self, body_id: str, index: int) -> None:
        """A slice that another worker owns was read."""
        if len(self._uses) < MAX_HINTS * 8:
            self._uses[(body_id, index)] += 1

    def note_written(self, body_id: str, index: int, size: int) -> None:
        """A slice of a body that another worker owns was written."""
        self._sizes[(body_id, index)] = size

    async def _send_hints(self) -> None:
        while True:
            await asyncio.sleep(HINT_EVERY_S)
            self.send_hints()

    def send_hints(self) -> None:
        """Send what has gathered to the owners."""
        batches: dict[int, list[tuple[str, int, int, int]]] = {}
        for body_id, index in self._uses.keys() | self._sizes.keys():
            owner = int(body_id[:8], 16) % self._slots
            size, uses = self._sizes.get((body_id, index), 0), self._uses.get((body_id, index), 0)
            batches.setdefault(owner, []).append((body_id, index, size, uses))
        self._uses.clear()
        self._sizes.clear()
        for owner, slices in batches.items():
            for at in range(0, len(slices), MAX_HINTS):
                self._send(owner, SliceHints(tuple(slices[at : at + MAX_HINTS])))

    # -- the socket --------------------------------------------------------------------------------------------------

    def _send(self, slot: int, message: Message) -> bool:
        """False when nobody listens there."""
        assert self._socket is not None
        try:
            self._socket.sendto(_encoder.encode(message), self._address(slot))
        except OSError:  # dead, not started yet, or its queue is full
            return isinstance(message, PurgeNews) and Path(self._address(slot)).exists() and self._is_alive(slot)
        return True

    def _is_alive(self, slot: int) -> bool:
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.closing(probe):
            return probe.connect_ex(self._address(slot)) == 0

    def _receive(self) -> None:
        assert self._socket is not None
        while True:
            try:
                data = self._socket.recv(MAX_DATAGRAM + 4096)
            except BlockingIOError:
                return
            try:
                message = _decoder.decode(data)
            except msgspec.DecodeError:
                continue
            self._act_on(message)

    def _act_on(self, message: Message) -> None:
        match message:
            case PurgeNews(sender, ticket):
                self._on_purge()
                self._send(sender, Ack(self._slot, ticket))
            case Ack(sender, ticket):
                self._waiting.get(ticket, set()).discard(sender)
                self._acked.set()
            case SliceHints(slices):
                for body_id, index, size, uses in slices:
                    self._on_slice(body_id, index, size, uses)
