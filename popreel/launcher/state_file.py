"""What the supervisor tells the command line: run/state.json, replaced atomically at every change."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec

from popreel.embedded.secret_file import write_private


class Phase(StrEnum):
    """Of the whole platform."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class UnitPhase(StrEnum):
    """Of one process."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"


class UnitState(msgspec.Struct, kw_only=True):
    """One supervised process, as last seen."""

    name: str
    phase: UnitPhase = UnitPhase.WAITING
    pid: int | None = None
    address: str = ""
    """HOST:PORT; no credentials."""
    restarts: int = 0
    last_exit: str = ""
    """How the previous run ended: "exit 3", "signal SIGKILL"."""
    log: str = ""


class PlatformState(msgspec.Struct, kw_only=True):
    """The whole of run/state.json."""

    supervisor_pid: int
    phase: Phase = Phase.STARTING
    message: str = ""
    """Why it failed, or what it waits for."""
    started_ms: int = 0
    ready_ms: int = 0
    urls: dict[str, str] = msgspec.field(default_factory=dict)
    units: list[UnitState] = msgspec.field(default_factory=list)


def write_state(path: Path, state: PlatformState) -> None:
    write_private(path, msgspec.json.format(msgspec.json.encode(state)).decode())


def read_state(path: Path) -> PlatformState | None:
    """The last state written; None if there is none or an older popreel wrote another shape."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=PlatformState)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
