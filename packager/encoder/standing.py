"""A job's standing among other jobs: once its clip is playable, it lets their first rungs go ahead."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from packager.encoder.outbox import Outbox
from packager.events import ChildMessage, Playable

_AUTOGROUP = Path("/proc/self/autogroup")
_LOWEST = b"19"


class Standing:
    """Relays messages and lowers the session's weight at `Playable`.

    Linux shares processors among sessions before it looks at the threads in them (CONFIG_SCHED_AUTOGROUP), and every
    child has a session of its own: the upper rungs' nice value alone would not count against another child.
    """

    def __init__(self, outbox: Outbox, *, path: Path = _AUTOGROUP) -> None:
        """Opens the kernel's file: behind the walls that would not be possible. `path` is for tests."""
        self._outbox = outbox
        self._descriptor = -1
        with contextlib.suppress(OSError):  # a kernel without automatic groups
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)

    def emit(self, message: ChildMessage) -> None:
        if isinstance(message, Playable) and self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.write(self._descriptor, _LOWEST)
        self._outbox.emit(message)
