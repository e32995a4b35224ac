"""`popreel up`: become the supervisor, or start one in the background and wait until everything is ready."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from foundation.telemetry import logs
from popreel.commands.context import Context
from popreel.embedded.process import log_tail
from popreel.errors import StartFailed
from popreel.launcher.instance import claim, holder
from popreel.launcher.platform import Platform
from popreel.launcher.run import run_platform
from popreel.launcher.state_file import Phase, PlatformState, UnitPhase, UnitState, read_state

SUPERVISOR = "supervisor"
_POLL_S = 0.1


def up_foreground(context: Context) -> None:
    """Run until Ctrl-C. Raises PopreelError if it cannot be started."""
    claim(context.folder)
    with context.folder.log(SUPERVISOR).open("a", encoding="utf-8") as log:
        logs.configure(SUPERVISOR, stream=log)
        platform = Platform(context.settings, file=context.file)
        asyncio.run(run_platform(platform, on_state=_narrator(context.out)))


def up_detached(context: Context) -> None:
    """Return once the platform is ready: by a supervisor in the background, ours or one that runs already or is being
    started by another `popreel up`. Raises StartFailed."""
    claim(context.folder)
    tell = _narrator(context.out)
    while not (_joined(context, tell) or _started(context, tell)):
        pass  # the other one has ended meanwhile, or was quicker than we


def _joined(context: Context, tell: Callable[[PlatformState], None]) -> bool:
    """Whether a supervisor that was there already is ready; False if there is none, or it ended."""
    pid = holder(context.folder.lock)
    if pid is None:
        return False
    context.out.print(f"popreel is already up, or coming up, on {context.folder.root} (pid {pid})")
    return _becomes_ready(context, pid, lambda: holder(context.folder.lock) == pid, tell)


def _started(context: Context, tell: Callable[[PlatformState], None]) -> bool:
    """Start a supervisor; False if another one was quicker."""
    log_file = context.folder.log(SUPERVISOR)
    with log_file.open("a", encoding="utf-8") as log:
        config = ["--config", str(context.file)] if context.file else []
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "popreel.launcher", *config],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={
                **os.environ,
                "POPREEL_DATA_DIR": str(context.settings.data_dir),
                "POPREEL_PORT_BASE": str(context.settings.port_base),
            },
        )
    try:
        if _becomes_ready(context, process.pid, lambda: process.poll() is None, tell):
            return True
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    if holder(context.folder.lock) is None:
        raise StartFailed(f"the supervisor ended with {process.returncode}:\n{log_tail(log_file)}")
    return False


def _becomes_ready(
    context: Context, pid: int, is_alive: Callable[[], bool], tell: Callable[[PlatformState], None]
) -> bool:
    """Follow the state file, which supervisor `pid` replaces at each change, until it is ready; False if it ends.

    Its own deadlines end a start that hangs. Raises StartFailed with its reason.
    """
    while True:
        alive = is_alive()  # asked before: what it wrote last counts
        state = read_state(context.folder.state)
        if state is not None and state.supervisor_pid == pid:
            tell(state)
            if state.phase is Phase.READY:
                return True
            if state.phase is Phase.FAILED:
                raise StartFailed(state.message)
        if not alive:
            return False
        time.sleep(_POLL_S)


def _narrator(out: Console) -> Callable[[PlatformState], None]:
    """Prints what is new in each state shown to it."""
    seen: dict[str, tuple[UnitPhase, int]] = {}
    announced: list[Phase] = []

    def tell(state: PlatformState) -> None:
        for unit in state.units:
            now = (unit.phase, unit.restarts)
            if seen.get(unit.name) != now:
                seen[unit.name] = now
                _tell_unit(out, unit, state)
        if state.phase not in announced[-1:]:
            announced.append(state.phase)
            _tell_phase(out, state)

    return tell


def _tell_unit(out: Console, unit: UnitState, state: PlatformState) -> None:
    if unit.phase is UnitPhase.READY:
        elapsed_s = time.time() - state.started_ms / 1000
        when = " again" if unit.restarts else f" [dim]{elapsed_s:.1f} s[/]"
        out.print(f"  [green]ready[/] {unit.name} [dim]{unit.address}[/]{when}")
    elif unit.phase is UnitPhase.RESTARTING:
        out.print(f"  [yellow]{unit.name} ended ({unit.last_exit}); starting it again, log: {unit.log}[/]")


def _tell_phase(out: Console, state: PlatformState) -> None:
    if state.phase is Phase.READY:
        table = Table.grid(padding=(0, 2))
        for name, url in state.urls.items():
            table.add_row(name, f"[bold]{url}[/]")
        took_s = (state.ready_ms - state.started_ms) / 1000
        out.print(f"[bold green]popreel is ready[/] [dim]after {took_s:.1f} s[/]")
        out.print(table)
    elif state.phase is Phase.STOPPING:
        out.print("stopping")
    elif state.phase is Phase.STOPPED:
        out.print("stopped")
