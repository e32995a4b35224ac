"""The skeleton the three embedded servers share: prepare once, start, ask until ready, stop, start again after a crash.

    prepare()   idempotent: makes what is missing, clears what a killed server left behind
    start()     prepare + spawn; raises PortTaken, BinaryMissing
    ready()     polls the server's own answer until it serves or has died; raises with its log's tail
    stop()      in order, then by force

No lock is taken here: one supervisor owns a data directory (popreel/launcher/instance.py).
"""

from __future__ import annotations

import abc
import asyncio
import logging
import signal
import time
from pathlib import Path
from typing import ClassVar

from popreel.embedded.errors import EmbeddedServerError, EndedEarly, NotReady, PortTaken
from popreel.embedded.ports import is_free
from popreel.embedded.process import ManagedProcess, log_tail

_log = logging.getLogger(__name__)
HOST = "127.0.0.1"


class EmbeddedServer(abc.ABC):
    """One server process with its data under `data_dir`. Not safe for two owners of one directory."""

    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_deadline_s: ClassVar[float] = 10.0

    def __init__(self, *, name: str, data_dir: Path, log_file: Path, port: int) -> None:
        self.name = name
        self.data_dir = data_dir.absolute()
        self.log_file = log_file.absolute()
        self.port = port
        self._process: ManagedProcess | None = None

    @property
    @abc.abstractmethod
    def endpoint(self) -> str:
        """What a client needs to connect, credentials included: never log it."""

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port it will bind on 127.0.0.1."""
        return (self.port,)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def process(self) -> ManagedProcess:
        if self._process is None:
            raise EmbeddedServerError(f"{self.name} was not started")
        return self._process

    async def start(self) -> None:
        """Prepare the data and spawn the server; returns before it serves. Raises EmbeddedServerError."""
        if self.pid is not None:
            return
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._prepare()
        for port in self.ports:
            if not is_free(port, host=HOST):
                raise PortTaken(f"{self.name} needs {HOST}:{port}, which another process uses")
        self._process = self._spawn()

    async def ready(self, *, deadline_s: float = 30.0) -> None:
        """Return once the server answers. Raises EndedEarly, or NotReady when the deadline passes."""
        process = self.process
        give_up = time.monotonic() + deadline_s
        pause_s = 0.01
        while not await self._answers():
            if process.returncode is not None:
                raise EndedEarly(f"{self.name} ended with {process.returncode}:\n{log_tail(self.log_file)}")
            if time.monotonic() > give_up:
                raise NotReady(f"{self.name} did not answer within {deadline_s:.0f} s:\n{log_tail(self.log_file)}")
            await asyncio.sleep(pause_s)  # polled: a server announces readiness in no other portable way
            pause_s = min(pause_s * 1.5, 0.2)
        await self._after_ready()

    async def wait(self) -> int:
        """The exit code, once it ended by itself or by stop()."""
        return await self.process.wait()

    async def stop(self) -> None:
        if self._process is not None:
            await self._process.stop(self.stop_signal, deadline_s=self.stop_deadline_s)

    async def answers(self) -> bool:
        """Whether it gives a sign of life; a refusal (too many connections) is one. Bound it with a timeout."""
        try:
            return await self._answers()
        except TimeoutError:
            return False
        except Exception:
            _log.debug("%s answers with an error", self.name, exc_info=True)
            return True

    def kill(self) -> None:
        """SIGKILL; nothing happens if it has ended. What it promised to keep survives: see each server."""
        if self._process is not None:
            self._process.send(signal.SIGKILL)

    @abc.abstractmethod
    async def _prepare(self) -> None: ...

    @abc.abstractmethod
    def _spawn(self) -> ManagedProcess: ...

    @abc.abstractmethod
    async def _answers(self) -> bool:
        """Whether it serves requests now; False on connection failures, raises on wrong credentials."""

    async def _after_ready(self) -> None:  # noqa: B027 - most servers have nothing to add
        """What can only be set up over the server's own protocol (databases, buckets). Idempotent."""
