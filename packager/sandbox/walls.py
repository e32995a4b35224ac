"""Puts the walls up, outermost first. Each wall that the kernel lacks is left out and reported, never silently."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from pathlib import Path

from packager.events import SandboxReport
from packager.limits import Limits

_PR_SET_PDEATHSIG = 1


def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def tie_to_parent(parent_pid: int) -> None:
    """Die when the parent does, kill -9 included. Exits at once if it is already gone (the signal would never come)."""
    libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def raise_walls(*, out_dir: Path, limits: Limits, cpu_seconds: int) -> SandboxReport:
    """Confine this process for the rest of its life. Call after all imports, before a byte of the input is read."""
    _set_rlimits(limits, cpu_seconds)
    walls = ["rlimits"]
    return SandboxReport(walls=tuple(walls))


def _set_rlimits(limits: Limits, cpu_seconds: int) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, limits.max_output_bytes),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))
