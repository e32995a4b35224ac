"""How much memory a process and its children take, from /proc."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def memory_bytes(roots: Iterable[int]) -> dict[int, int]:
    """Resident bytes by root pid, children included; pages shared by several processes are divided among them.

    PSS of proc_pid_smaps(5) where we may read it (Postgres backends share most of theirs), else RSS. Gone pids count 0.
    """
    children = _children()
    trees = {root: _tree(root, children) for root in roots}
    # Each process is read once: a tree is then never smaller than the trees within it.
    sizes = {pid: _one(pid) for pid in set().union(*trees.values())}
    return {root: sum(sizes[pid] for pid in tree) for root, tree in trees.items()}


def _tree(root: int, children: dict[int, list[int]]) -> list[int]:
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue.extend(children.get(pid, ()))
    return found


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for entry in _PROC.glob("[0-9]*"):
        with suppress(OSError, ValueError):
            # The name may hold spaces and parentheses; the parent is the second field after its last ")".
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            found[parent].append(int(entry.name))
    return found


def _one(pid: int) -> int:
    for file, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        with suppress(OSError):
            for line in (_PROC / str(pid) / file).read_text().splitlines():
                if line.startswith(key):
                    return int(line.split()[1]) * 1024
    return 0
