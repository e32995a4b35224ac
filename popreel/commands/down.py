"""`popreel down`: end the supervisor and everything it runs; with --wipe, remove the data folder too."""

from __future__ import annotations

import os
import select
import shutil
import signal

from popreel.commands.context import Context
from popreel.errors import LauncherError, NotOurFolder
from popreel.launcher.instance import holder

_DEADLINE_S = 90.0
"""Above the sum of the stages' own deadlines (PoPs 15, services 15 + 15, servers 20 s)."""


def down(context: Context, *, wipe: bool) -> None:
    """Return once nothing runs any more; it is no error if nothing ran. Raises NotOurFolder, LauncherError."""
    pid = holder(context.folder.lock)
    if pid is None:
        context.out.print("popreel was not running")
    else:
        _end(pid)
        context.out.print("popreel is down")
    if wipe:
        _wipe(context)


def _end(pid: int) -> None:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select([process], [], [], _DEADLINE_S)[0]:
            signal.pidfd_send_signal(process, signal.SIGKILL)  # its children follow: they asked for that
            select.select([process], [], [], 5)
    except PermissionError as err:
        raise LauncherError(f"popreel runs as another user (pid {pid}): run this command as that user") from err
    finally:
        os.close(process)


def _wipe(context: Context) -> None:
    folder = context.folder
    if not folder.root.exists():
        return
    if not folder.marker.exists():
        raise NotOurFolder(f"{folder.root} was not made by popreel: remove it yourself if you are sure")
    shutil.rmtree(folder.root)
    context.out.print(f"{folder.root} removed")
