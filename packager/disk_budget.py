"""How much of the scratch disk decoded pictures may take that find no room in memory."""

from __future__ import annotations

import os
from pathlib import Path

_SHARE = 4
"""A job takes at most one part in four of what is free: several may start at once, and their results need room."""
_IN_MEMORY = {"tmpfs", "ramfs"}


def disk_budget_bytes(wanted_bytes: int, folder: Path, *, mounts: Path = Path("/proc/self/mountinfo")) -> int:
    """`wanted_bytes`, cut to a quarter of the free space where `folder` lies. Blocks: asks the kernel.

    0 where that is memory, or cannot be told from it (not Linux). `mounts` is for tests.
    """
    try:
        if file_system(mounts.read_text(), folder.stat().st_dev) in _IN_MEMORY:
            return 0
        disk = os.statvfs(folder)
    except OSError:
        return 0
    return min(wanted_bytes, disk.f_bavail * disk.f_frsize // _SHARE)


def file_system(mountinfo: str, device: int) -> str | None:
    """The type of the file system on that device, None if it is not mounted; pure. See proc_pid_mountinfo(5)."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mountinfo.splitlines():
        mount, _, kind = line.partition(" - ")
        if mount.split()[2:3] == [wanted]:
            return kind.split()[0]
    return None
