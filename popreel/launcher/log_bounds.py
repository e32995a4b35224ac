"""Keeps log files under a size while their writers hold them open.

Processes append to their file directly, so that a crash's last words are there even if the supervisor died with it.
At the bound the file is copied to NAME.log.1 and emptied in place; lines written between the two are lost.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from pathlib import Path

_log = logging.getLogger(__name__)
MAX_BYTES = 8 * 1024 * 1024
CHECK_EVERY_S = 5.0


def bound_logs(folder: Path, *, max_bytes: int = MAX_BYTES) -> list[Path]:
    """Rotate every *.log above `max_bytes`; returns those rotated. Each takes at most about twice the bound."""
    rotated = [path for path in folder.glob("*.log") if path.stat().st_size > max_bytes]
    for path in rotated:
        previous = path.with_name(f"{path.name}.1")
        shutil.copyfile(path, previous)
        previous.chmod(0o600)
        os.truncate(path, 0)
    return rotated


async def keep_bounded(folder: Path) -> None:
    """Look every few seconds until cancelled."""
    while True:
        await asyncio.sleep(CHECK_EVERY_S)
        try:
            await asyncio.to_thread(bound_logs, folder)
        except OSError as err:  # no room for the copy: try again later
            _log.warning("a log could not be rotated: %s", err, extra={"event": "log_not_rotated"})
