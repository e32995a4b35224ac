"""Ends what a supervisor that was killed left behind.

The kernel tells the children to end when their supervisor dies; until they have, their ports and files are in use.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from popreel.launcher.state_file import PlatformState, UnitState

_GRACE_S = 15.0


async def end_leftovers(state: PlatformState | None, *, grace_s: float = _GRACE_S) -> None:
    """Wait for the processes of an earlier run to end, then kill those that do not. Call it holding the lock."""
    if state is None:
        return
    give_up = time.monotonic() + grace_s
    while alive := [unit for unit in state.units if unit.pid is not None and _still_runs(unit)]:
        if time.monotonic() > give_up:
            for unit in alive:
                _kill(unit)
        await asyncio.sleep(0.05)  # not our children, so nothing announces their end


def _kill(unit: UnitState) -> None:
    with suppress(ProcessLookupError):
        if unit.pid:
            os.kill(unit.pid, signal.SIGKILL)


def _still_runs(unit: UnitState) -> bool:
    """Whether `unit.pid` is still the process we started: by its log file, which it holds open as its stderr."""
    with suppress(OSError):
        return Path(f"/proc/{unit.pid}/fd/2").readlink() == Path(unit.log).resolve()
    return False
