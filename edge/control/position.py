"""A log position that survives a restart: one number in a small file, replaced atomically."""

from __future__ import annotations

from pathlib import Path


class Position:
    """The last sequence number applied. Small blocking writes (tens of bytes): fine on the loop, rare by nature."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seq = self._read()

    def advance(self, seq: int) -> None:
        if seq <= self.seq:
            return
        self.seq = seq
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        part.write_text(f"{seq}\n")
        part.replace(self._path)

    def _read(self) -> int:
        try:
            return int(self._path.read_text())
        except (OSError, ValueError):
            return 0
