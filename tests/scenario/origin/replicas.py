"""A streaming replica of an embedded Postgres, its promotion, and a crash of a primary."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from popreel.embedded.errors import EmbeddedServerError
from popreel.embedded.postgres import EmbeddedPostgres, _give
from popreel.embedded.process import log_tail


class Replica(EmbeddedPostgres):
    """Copies `primary` by pg_basebackup at its first start and follows it."""

    def __init__(self, primary: EmbeddedPostgres, *, data_dir: Path, log_file: Path, port: int, name: str) -> None:
        super().__init__(data_dir=data_dir, log_file=log_file, port=port, name=name)
        self._primary = primary

    async def _init_cluster(self) -> None:
        if (self._cluster / "PG_VERSION").exists():
            return
        self._password_file.write_text(urlsplit(self._primary.endpoint).password or "")
        if os.geteuid() == 0:
            _give(self.data_dir, self._user if self._user and ":" in self._user else "0:0")
        source = self._primary.endpoint.partition("?")[0].rpartition("/")[0] + "/postgres?sslmode=disable"
        copy = self._run("pg_basebackup", "-D", str(self._cluster), "-R", "-X", "stream", "-c", "fast", "-d", source)
        if await copy.wait() != 0:
            raise EmbeddedServerError(f"pg_basebackup failed:\n{log_tail(self.log_file)}")

    async def _after_ready(self) -> None:
        """Its databases are the primary's."""

    async def promote(self) -> None:
        connection = await asyncpg.connect(self.endpoint)
        await connection.execute("alter system set synchronous_standby_names = ''")
        await connection.execute("select pg_promote()")
        await connection.execute("select pg_reload_conf()")
        await connection.close()


async def commit_at_both(primary: EmbeddedPostgres) -> None:
    """From now on a commit is acknowledged when the replica has it, too."""
    connection = await asyncpg.connect(primary.endpoint)
    await connection.execute("alter system set synchronous_standby_names = '*'")
    await connection.execute("select pg_reload_conf()")
    await connection.close()


async def crash(server: EmbeddedPostgres) -> None:
    """SIGKILL to the postmaster; its backends die of it."""
    lines = await asyncio.to_thread((server.data_dir / "cluster" / "postmaster.pid").read_text)
    os.kill(int(lines.split()[0]), signal.SIGKILL)
    await server.wait()
