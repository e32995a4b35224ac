"""The supervisor process: lock, ports, start, keep, stop; tells run/state.json and the log what happens."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from foundation.errors import PopreelError
from popreel.launcher.instance import instance_lock
from popreel.launcher.leftovers import end_leftovers
from popreel.launcher.log_bounds import keep_bounded
from popreel.launcher.platform import Platform
from popreel.launcher.port_check import own_ports
from popreel.launcher.state_file import Phase, PlatformState, UnitState, read_state, write_state
from popreel.launcher.supervisor import Supervisor, Watched

_log = logging.getLogger(__name__)

OnState = Callable[[PlatformState], None]


async def run_platform(platform: Platform, *, on_state: OnState) -> None:
    """Run until SIGTERM or SIGINT. `on_state` sees every change (in-process; the file is written before).

    Raises PopreelError if the platform could not be started; everything is stopped then.
    """
    with instance_lock(platform.folder), ExitStack() as ours:
        await end_leftovers(read_state(platform.folder.state))
        board = _Board(platform, on_state)
        supervisor = Supervisor(
            platform.stages(),
            report=board.unit,
            start_deadline_s=platform.settings.start_deadline_s,
            hang_after_s=platform.settings.hang_after_s,
        )
        stop, bounds = _stop_signal(), asyncio.create_task(keep_bounded(platform.folder.logs))
        try:
            ours.enter_context(own_ports(_addresses(platform), plan=platform.ports))
            if await _start_unless(stop, supervisor):
                board.phase(Phase.READY)
                await stop.wait()
            board.phase(Phase.STOPPING)
            await supervisor.stop()
            board.phase(Phase.STOPPED)
        except Exception as err:  # whatever it is: stop what runs and say why, then let it through
            await supervisor.stop()
            board.phase(Phase.FAILED, message=err.detail if isinstance(err, PopreelError) else f"{err!r}")
            raise
        finally:
            bounds.cancel()
            with suppress(asyncio.CancelledError):
                await bounds


class _Board:
    """Keeps the state and shows each change."""

    def __init__(self, platform: Platform, on_state: OnState) -> None:
        self._platform = platform
        self._on_state = on_state
        self._state = PlatformState(
            supervisor_pid=os.getpid(),
            started_ms=time.time_ns() // 1_000_000,
            urls=platform.urls,
            units=[
                UnitState(name=name, address=address, log=str(platform.folder.log(name)))
                for name, address in platform.addresses.items()
            ],
        )
        self._show()

    def unit(self, watched: Watched) -> None:
        for entry in self._state.units:
            if entry.name == watched.unit.name:
                entry.phase, entry.pid = watched.phase, watched.unit.pid
                entry.restarts, entry.last_exit = watched.restarts, watched.last_exit
        self._show()

    def phase(self, phase: Phase, *, message: str = "") -> None:
        self._state.phase, self._state.message = phase, message
        if phase is Phase.READY:
            self._state.ready_ms = time.time_ns() // 1_000_000
        _log.info("platform is %s", phase, extra={"event": f"platform_{phase}"})
        self._show()

    def _show(self) -> None:
        try:
            write_state(self._platform.folder.state, self._state)
        except OSError as err:  # a full disk must not end the supervision
            _log.error("the state could not be written: %s", err, extra={"event": "state_not_written"})
        self._on_state(self._state)


async def _start_unless(stop: asyncio.Event, supervisor: Supervisor) -> bool:
    """Whether everything came up; False if `stop` was set meanwhile. Raises what the start raised."""
    starting, stopping = asyncio.create_task(supervisor.start()), asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if starting.done():
        await starting
        return not stop.is_set()
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    return False


def _addresses(platform: Platform) -> list[tuple[str, int]]:
    listed = [address.rpartition(":") for address in platform.addresses.values()]
    inner = [("127.0.0.1", port) for server in platform.servers.all for port in server.ports]
    return sorted({*((host, int(port)) for host, _, port in listed), *inner})


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
