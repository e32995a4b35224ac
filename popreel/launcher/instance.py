"""One supervisor per data folder: a lock that the kernel releases however its holder ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from popreel.errors import AlreadyRunning, NotOurFolder
from popreel.launcher.layout import DataFolder


@contextmanager
def instance_lock(folder: DataFolder) -> Iterator[None]:
    """Own `folder` while inside, creating it if need be. Raises AlreadyRunning, NotOurFolder."""
    claim(folder)
    # Not inherited by children (close-on-exec), or a lingering one would keep the folder locked.
    with os.fdopen(os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600), "r+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"popreel already runs on {folder.root} (pid {handle.read().strip()})") from None
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def claim(folder: DataFolder) -> None:
    """Create `folder` with our marker. Raises NotOurFolder if it exists with somebody else's files."""
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not folder.marker.exists():
        if any(folder.root.iterdir()):
            raise NotOurFolder(f"{folder.root} holds other files: choose an empty folder with POPREEL_DATA_DIR")
        folder.marker.write_text("`popreel down --wipe` removes this folder.\n", "utf-8")
    for path in (folder.run, folder.logs):
        path.mkdir(mode=0o700, exist_ok=True)


def holder(lock: Path) -> int | None:
    """The pid that holds the lock now, or None."""
    try:
        with lock.open() as handle:
            try:
                # Shared: others who ask now are no holders, and the file still has the pid of the last one.
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = handle.read().strip()
                return int(text) if text.isdigit() else None
    except (FileNotFoundError, PermissionError):
        return None
    return None
