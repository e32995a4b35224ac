"""How much memory decoded pictures may be held in, so that a clip is decoded once for all its rungs."""

from __future__ import annotations

from pathlib import Path

_SHARE = 4
"""A job takes at most one part in four of what is free: several may start at once."""


def frame_budget_bytes(wanted_bytes: int, *, root: Path = Path("/")) -> int:
    """`wanted_bytes`, cut to a quarter of the free memory of the machine and of the container (cgroup v2).

    Reads two small kernel files; 0 where free memory is unknown (not Linux). `root` is for tests.
    """
    free = [value for value in (_machine_free(root), _container_free(root)) if value is not None]
    return min(wanted_bytes, min(free) // _SHARE) if free else 0


def _machine_free(root: Path) -> int | None:
    try:
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _container_free(root: Path) -> int | None:
    folder = root / "sys/fs/cgroup"
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - used)
