"""Arrays of rows that a second process maps: one anonymous file of memory (memfd) each, which grows in place."""

from __future__ import annotations

import contextlib
import mmap
import os
import weakref
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]


class SharedArrays:
    """Owner of the files: closed when it is forgotten; the memory ends with the last array in any process."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        weakref.finalize(self, _close, self._files)

    @property
    def files(self) -> Mapping[str, int]:
        """Descriptors by name of the array: what a child process is given."""
        return self._files

    def array(self, name: str, kind: np.dtype[np.generic], rows: int) -> Array:
        """The array of that name with room for `rows`. A shorter one of before holds the same memory."""
        if name not in self._files:
            self._files[name] = os.memfd_create(f"popreel-{name}", os.MFD_CLOEXEC)
        file = self._files[name]
        size = rows * kind.itemsize
        if os.fstat(file).st_size < size:
            os.ftruncate(file, size)
        return mapped(file, kind, rows, writable=True)


def _close(files: dict[str, int]) -> None:
    while files:
        os.close(files.popitem()[1])


def mapped(file: int, kind: np.dtype[np.generic], rows: int, *, writable: bool = False) -> Array:
    """The first rows of an array that is in the file."""
    access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    memory = mmap.mmap(file, rows * kind.itemsize, mmap.MAP_SHARED, access)
    with contextlib.suppress(OSError):  # huge pages: fewer misses when single rows are read; a kernel may not have them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, kind, rows)
