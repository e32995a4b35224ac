"""A whole platform of its own for a test, a benchmark or an experiment: free ports, its own folder, gone afterwards.

It is the platform `popreel up` runs, started the same way, but as a child that ends with us.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from popreel.embedded.process import ManagedProcess, log_tail
from popreel.errors import LauncherError, StartFailed
from popreel.launcher.layout import DataFolder, PortPlan
from popreel.launcher.port_check import in_use
from popreel.launcher.state_file import Phase, PlatformState, UnitPhase, UnitState, read_state

_FIRST_BASE, _LAST_BASE, _STEP = 12_000, 19_000, 20
_POLL_S = 0.05


def free_port_base(*, hosts: tuple[str, ...] = ("127.0.0.1", "127.0.0.2")) -> int:
    """A port base whose whole block is free on every host, gRPC ports (+ 10000) included. Raises LauncherError."""
    bases = list(range(_FIRST_BASE, _LAST_BASE, _STEP))
    first = os.getpid() % len(bases)  # another run beside us most likely begins elsewhere
    for base in (*bases[first:], *bases[:first]):
        if not in_use((host, port) for host in hosts for port in PortPlan(base=base).all):
            return base
    raise LauncherError(f"no block of 14 free ports between {_FIRST_BASE} and {_LAST_BASE}")


class ThrowawayPlatform:
    """start() it, use it, stop() it. Blocking calls, for fixtures and scripts."""

    def __init__(self, folder: Path, *, environ: Mapping[str, str] | None = None) -> None:
        """folder: must not exist or be empty. environ: extra variables, such as POPREEL_ORIGIN__LEASE_S."""
        self.folder = DataFolder(root=folder.absolute())
        self.ports = PortPlan(base=free_port_base())
        self.environ = {
            **os.environ,
            **(environ or {}),
            "POPREEL_DATA_DIR": str(self.folder.root),
            "POPREEL_PORT_BASE": str(self.ports.base),
            "COLUMNS": "200",  # tables of commands are not wrapped
        }
        self._log_file = self.folder.root.with_name(f"{self.folder.root.name}-supervisor.log")
        self._process: ManagedProcess | None = None

    @property
    def state(self) -> PlatformState:
        state = read_state(self.folder.state)
        if state is None:
            raise StartFailed("the platform has no state yet")
        return state

    @property
    def urls(self) -> dict[str, str]:
        """By name: local-1, local-2, origin, control-plane, cdn-router."""
        return self.state.urls

    @property
    def pop_url(self) -> str:
        return self.urls["local-1"]

    @property
    def origin_url(self) -> str:
        return self.urls["origin"]

    def start(self, *, deadline_s: float = 120.0) -> None:
        """Return once everything is ready. Raises StartFailed with the reason the supervisor gives."""
        self._process = ManagedProcess.spawn(
            [sys.executable, "-P", "-m", "popreel.launcher"],
            name="supervisor",
            log_file=self._log_file,
            cwd=self.folder.root.parent,
            environ=self.environ,
        )
        give_up = time.monotonic() + deadline_s
        while True:
            state = read_state(self.folder.state)
            if state is not None and state.supervisor_pid == self._process.pid and state.phase is Phase.READY:
                return
            if self._process.returncode is not None or time.monotonic() > give_up:
                raise StartFailed(f"{state.message if state else ''}\n{log_tail(self._log_file)}")
            time.sleep(_POLL_S)

    def stop(self, *, deadline_s: float = 60.0) -> None:
        """End it in order; by force after `deadline_s`."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send(signal.SIGTERM)
        give_up = time.monotonic() + deadline_s
        while self._process.returncode is None:
            if time.monotonic() > give_up:
                self._process.send(signal.SIGKILL)
            time.sleep(_POLL_S)

    def unit(self, name: str) -> UnitState:
        return next(unit for unit in self.state.units if unit.name == name)

    def kill(self, name: str) -> int:
        """SIGKILL a process by its unit's name; returns the pid it had."""
        pid = self.unit(name).pid
        if pid is None:
            raise LauncherError(f"{name} does not run")
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_until_back(self, name: str, *, not_pid: int, deadline_s: float = 60.0) -> UnitState:
        """Wait until `name` is ready under another pid than `not_pid`. Raises StartFailed."""
        give_up = time.monotonic() + deadline_s
        while time.monotonic() < give_up:
            unit = self.unit(name)
            if unit.phase is UnitPhase.READY and unit.pid not in (None, not_pid):
                return unit
            time.sleep(_POLL_S)
        raise StartFailed(f"{name} did not come back:\n{log_tail(self.folder.log(name))}")

    def popreel(self, *arguments: str | Path, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Run the command line against this platform."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "popreel", *map(str, arguments)],
            env=self.environ,
            cwd=self.folder.root.parent,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def token(self, username: str) -> str:
        """An access token of the user, made if new. Raises LauncherError."""
        result = self.popreel("token", username)
        if result.returncode != 0:
            raise LauncherError(f"no token for {username}: {result.stderr}")
        return result.stdout.strip()
