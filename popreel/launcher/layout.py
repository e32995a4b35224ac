"""Where everything of an installation lies: folders below the data folder, ports above the base. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from popreel.embedded.ports import GRPC_OFFSET

MARKER = "this-folder-belongs-to-popreel"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFolder:
    """Paths of one installation. Nothing is created here."""

    root: Path

    @property
    def marker(self) -> Path:
        """Present in folders that we made: `down --wipe` removes no other."""
        return self.root / MARKER

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def run(self) -> Path:
        """One TOML file per process, and the state file."""
        return self.root / "run"

    @property
    def state(self) -> Path:
        return self.run / "state.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets.toml"

    @property
    def access_key(self) -> Path:
        """The private key that signs access tokens; the origin makes it."""
        return self.root / "access-key.pem"

    def log(self, process: str) -> Path:
        return self.logs / f"{process}.log"

    def server(self, name: str) -> Path:
        return self.root / name

    def cache(self, pop_id: str) -> Path:
        return self.root / "pops" / pop_id

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortPlan:
    """Ports of one installation (docs/ARCHITECTURE.md), all on loopback."""

    base: int
    workers: int = 1

    @property
    def pop(self) -> int:
        return self.base

    @property
    def origin(self) -> int:
        return self.base + 1

    @property
    def control_plane(self) -> int:
        return self.base + 2

    @property
    def router(self) -> int:
        return self.base + 3

    def worker(self, number: int) -> int:
        """number: 0 for the first; the others follow the object store's."""
        return self.base + 4 if number == 0 else self.base + 13 + number

    @property
    def postgres(self) -> int:
        return self.base + 5

    @property
    def valkey(self) -> int:
        return self.base + 6

    @property
    def s3(self) -> int:
        return self.base + 7

    def pop_valkey(self, number: int) -> int:
        """number: 0 or 1."""
        return self.base + 8 + number

    @property
    def s3_inner(self) -> tuple[int, int, int, int]:
        """master, volume, filer, admin."""
        return self.base + 10, self.base + 11, self.base + 12, self.base + 13

    @property
    def all(self) -> tuple[int, ...]:
        """Every port an installation can take on 127.0.0.1."""
        grpc = (self.s3, *self.s3_inner)
        return (*range(self.base, self.base + 13 + self.workers), *(port + GRPC_OFFSET for port in grpc))
