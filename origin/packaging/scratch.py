"""Folders for work in progress. A folder belongs to the process that holds its lock, so a kill -9 orphans it at once.

The lock is a file beside the folder, held by flock: the kernel lets go of it when the process dies, however it dies.
Workers that share a scratch disk clean up after each other.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_LOCK = ".lock"


class Scratch:
    """The scratch disk of a worker."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @asynccontextmanager
    async def folder(self, name: str) -> AsyncIterator[Path]:
        """An empty folder of this process's own, whose name begins with `name`; removed on leaving."""
        lock, folder = await asyncio.to_thread(self._make, name)
        try:
            yield folder
        finally:
            await asyncio.to_thread(_remove, lock, folder)

    async def sweep(self) -> list[str]:
        """Remove the folders of processes that died; returns their names."""
        return await asyncio.to_thread(self._sweep)

    def _make(self, name: str) -> tuple[int, Path]:
        self._root.mkdir(parents=True, exist_ok=True)
        while True:
            lock, path = tempfile.mkstemp(prefix=f"{name}-", suffix=_LOCK, dir=self._root)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if Path(path).exists():  # else a sweep came between the two lines above
                folder = Path(path.removesuffix(_LOCK))
                folder.mkdir()
                return lock, folder
            os.close(lock)

    def _sweep(self) -> list[str]:
        swept = []
        for path in self._root.glob(f"*{_LOCK}"):
            lock = _taken(path)
            if lock is not None:
                folder = path.with_suffix("")
                swept += [folder.name] if folder.is_dir() else []  # not yet, or not any more
                _remove(lock, folder)
        return swept


def _taken(path: Path) -> int | None:
    """The lock, if its owner is gone; None while it lives, or when another sweep was first."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _remove(lock: int, folder: Path) -> None:
    """The folder first: while it is there its lock is, and whoever finds the lock free removes it again."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_name(folder.name + _LOCK).unlink(missing_ok=True)
    os.close(lock)
