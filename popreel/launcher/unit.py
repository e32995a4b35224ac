"""What the supervisor supervises: an embedded server, or a service of ours (`python -m MODULE --config FILE`)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Protocol

import aiohttp

from popreel.embedded.errors import EndedEarly, NotReady
from popreel.embedded.process import ManagedProcess, log_tail

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Small matrix products get slower, not faster, with OpenBLAS threads: a service uses cores by requests."""


class Unit(Protocol):
    """A process that can be started again after it ended. EmbeddedServer fulfils this too."""

    @property
    def name(self) -> str: ...
    @property
    def log_file(self) -> Path: ...
    @property
    def pid(self) -> int | None: ...
    async def start(self) -> None: ...
    async def ready(self, *, deadline_s: float) -> None: ...
    async def wait(self) -> int: ...
    async def stop(self) -> None: ...
    async def answers(self) -> bool:
        """Whether it gives a sign of life, at whatever it is asked to do (not: whether it is ready)."""
        ...

    def kill(self) -> None:
        """SIGKILL, by its pid; nothing happens if it has ended."""
        ...


class ServiceProcess:
    """One of our services. Ready once its /readyz answers 200 on `host`:`port`."""

    stop_deadline_s = 15.0  # above the services' own drain of 10 s

    def __init__(
        self, *, name: str, module: str, config: Path, host: str, port: int, log_file: Path, working_dir: Path
    ) -> None:
        self._name = name
        self._module = module
        self._config = config
        self._log_file = log_file
        self._working_dir = working_dir
        self._url = f"http://{host}:{port}"
        self._process: ManagedProcess | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def log_file(self) -> Path:
        return self._log_file

    @property
    def url(self) -> str:
        return self._url

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        if self.pid is None:
            self._process = ManagedProcess.spawn(
                # -P: the working directory must not shadow our packages
                [sys.executable, "-P", "-m", self._module, "--config", str(self._config)],
                name=self._name,
                log_file=self._log_file,
                cwd=self._working_dir,
                environ={**_ONE_THREAD, **os.environ},
            )

    async def ready(self, *, deadline_s: float) -> None:
        """Return once /readyz answers 200. Raises EndedEarly or NotReady, with the last answer and the log's tail."""
        process, give_up, pause_s = self._started(), time.monotonic() + deadline_s, 0.02
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=6)) as http:
            # An answer counts only while our process lives: another program may sit on the port.
            while (reason := await self._not_ready_because(http)) is not None or process.returncode is not None:
                if process.returncode is not None:
                    raise EndedEarly(f"{self._name} ended with {process.returncode}:\n{log_tail(self._log_file)}")
                if time.monotonic() > give_up:
                    tail = log_tail(self._log_file)
                    raise NotReady(f"{self._name} is not ready after {deadline_s:.0f} s ({reason}):\n{tail}")
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 1.3, 0.25)

    async def wait(self) -> int:
        return await self._started().wait()

    async def stop(self) -> None:
        if self._process is not None:
            await self._process.stop(signal.SIGTERM, deadline_s=self.stop_deadline_s)

    async def answers(self) -> bool:
        """Any answer of /healthz counts. Takes as long as the process does: bound it with a timeout."""
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{self._url}/healthz"):
                return True
        except aiohttp.ClientConnectionError:
            return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.send(signal.SIGKILL)

    def _started(self) -> ManagedProcess:
        if self._process is None:
            raise NotReady(f"{self._name} was not started")
        return self._process

    async def _not_ready_because(self, http: aiohttp.ClientSession) -> str | None:
        try:
            async with http.get(f"{self._url}/readyz") as answer:
                return None if answer.status == 200 else (await answer.text())[:300]
        except aiohttp.ClientConnectionError:
            return "nothing listens yet"
        except TimeoutError:
            return "/readyz does not answer"
