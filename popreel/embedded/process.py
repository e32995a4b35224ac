"""One operating system process with an owner: started into a log file, waited for by pidfd, stopped with a deadline.

`subprocess.Popen` and pidfds instead of asyncio's subprocesses: those end with the event loop that made them, and a
test session starts its servers once for many loops.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_CHILD = Path(__file__).with_name("child.py")


class ManagedProcess:
    """A child that dies when we die.

    Start it from the main thread: the kernel's death signal follows the *thread* that forked (prctl(2)).
    """

    def __init__(self, popen: subprocess.Popen[bytes], *, name: str, log_file: Path) -> None:
        self._popen = popen
        self.name = name
        self.log_file = log_file

    @classmethod
    def spawn(
        cls,
        command: Sequence[str | Path],
        *,
        name: str,
        log_file: Path,
        cwd: Path,
        environ: Mapping[str, str] | None = None,
        death_signal: signal.Signals = signal.SIGTERM,
        user: str | None = None,
        stdin: bytes | None = None,
    ) -> ManagedProcess:
        """Start `command` (absolute program first); stdout and stderr are appended to `log_file` (made 0600).

        user: None (as we are), "namespace" or "uid:gid", see child.py. stdin: a short text to feed, under 4 kB.
        """
        options = [f"parent={os.getpid()}", f"death_signal={int(death_signal)}", *([f"user={user}"] if user else [])]
        log_fd = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            popen = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_CHILD), *options, "--", *map(str, command)],
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=log_fd,
                stderr=log_fd,
                cwd=cwd,
                env=dict(os.environ if environ is None else environ),
                start_new_session=True,  # Ctrl-C reaches us alone; we stop the children in order
            )
        finally:
            os.close(log_fd)
        if stdin is not None and popen.stdin is not None:
            popen.stdin.write(stdin)  # fits the pipe's buffer, so it cannot block
            popen.stdin.close()
        return cls(popen, name=name, log_file=log_file)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative: ended by that signal."""
        if self._popen.returncode is None and _is_zombie(self.pid):
            return self._reap()
        return self._popen.returncode

    async def wait(self) -> int:
        """The exit code, once it ended. Any number of waiters."""
        if (code := self.returncode) is not None:
            return code
        pidfd = os.pidfd_open(self.pid)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        loop.add_reader(pidfd, _resolve, ended)
        try:
            await ended
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)
        return self._reap()

    def _reap(self) -> int:
        """Collect the exit code, after ending what the process left in its group (a decoder of a killed worker).

        In this order: until it is reaped its pid, which is also the group's id, cannot be given to anybody else.
        """
        if self._popen.returncode is not None:  # another waiter was here first
            return self._popen.returncode
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        return self._popen.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal if it still runs (Popen never signals a pid it has reaped)."""
        self._popen.send_signal(number)

    async def stop(self, number: signal.Signals, *, deadline_s: float) -> int:
        """Ask it to end, kill it after `deadline_s`; returns the exit code. Nothing happens if it has ended."""
        self.send(number)
        try:
            async with asyncio.timeout(deadline_s):
                return await self.wait()
        except TimeoutError:
            self.send(signal.SIGKILL)
            return await self.wait()


def _is_zombie(pid: int) -> bool:
    """Whether our child `pid` has ended, without reaping it (waitid with WNOWAIT)."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _resolve(ended: asyncio.Future[None]) -> None:
    if not ended.done():  # the reader fires again until it is removed
        ended.set_result(None)


def log_tail(log_file: Path, *, lines: int = 20, max_bytes: int = 16_384) -> str:
    """The last lines of a log, for a message; empty when there is none."""
    try:
        with log_file.open("rb") as handle:
            handle.seek(0, os.SEEK_END)
            handle.seek(max(0, handle.tell() - max_bytes))
            text = handle.read(max_bytes).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
