"""Puts the walls up, outermost first. A wall that the kernel lacks is left out and reported, never silently."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

from packager.events import SandboxReport
from packager.limits import Limits
from packager.sandbox import landlock, seccomp

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_CODE = Path(__file__).resolve().parent.parent


def tie_to_parent(parent_pid: int) -> None:
    """Die when the parent does, kill -9 included. Exits at once if it is already gone (the signal would never come)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def leave_network() -> bool:
    """Move to an empty network namespace, as root or by way of a user namespace. Call while there is one thread."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return any(libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET))


def raise_walls(*, out_dir: Path, limits: Limits, cpu_seconds: int, offline: bool) -> SandboxReport:
    """Confine this process for the rest of its life. Call after all imports, before a byte of the input is read.

    Landlock binds the calling thread and its later children, so no thread may have been started yet.
    """
    _set_rlimits(limits, cpu_seconds)
    walls = ["rlimits", *(["network"] if offline else [])]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # no core, no ptrace, no /proc/PID/mem by our own user
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        single = len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208
        if single and landlock.restrict(libc, readable=_readable(), writable=[out_dir]):
            walls.append("landlock")
        if seccomp.install(libc):
            walls.append("seccomp")
    return SandboxReport(walls=tuple(walls))


def _readable() -> list[Path]:
    """Code that may still be loaded lazily: this program, the interpreter, shared libraries. No secrets live there."""
    own = [_CODE, _CODE.parent / "foundation"]
    return [*own, Path(sys.prefix), Path(sys.base_prefix), Path("/usr/lib"), Path("/lib"), Path("/lib64")]


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
