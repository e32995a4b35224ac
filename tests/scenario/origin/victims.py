"""Processes that a scenario kills and starts again."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]


@dataclass(slots=True)
class Victims:
    """Processes of the same module; `kill_one` sends SIGKILL to one and starts its successor."""

    module: str
    arguments: tuple[str, ...]
    _processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    kills: int = 0

    async def start(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"tests.scenario.origin.{self.module}",
            *self.arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=_ROOT,
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"started\n"
        self._processes.append(process)

    async def kill_one(self) -> None:
        process = self._processes.pop(random.randrange(len(self._processes)))
        process.kill()
        await process.wait()
        self.kills += 1
        await self.start()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    async def kill_times(self, times: int, *, pause_s: float) -> None:
        """At random instants, `pause_s` apart at most."""
        while self.kills < times:
            await asyncio.sleep(random.uniform(0, pause_s))
            await self.kill_one()

    async def stop(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()


@asynccontextmanager
async def victims(module: str, *arguments: str, count: int) -> AsyncIterator[Victims]:
    """`count` processes of `tests.scenario.origin.<module>` while inside."""
    group = Victims(module, arguments)
    try:
        await asyncio.gather(*(group.start() for _ in range(count)))
        yield group
    finally:
        await group.stop()
