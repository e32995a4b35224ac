"""Numbered SQL migrations, applied once on every server, in order, each in its own transaction.

Files are `NNNN_words.sql`; their SHA-256 is recorded, and a file that changed after it was applied stops the migration
(write a new number instead). An advisory lock makes two migrators of one server take turns. Every server gets every
table: a shard may move anywhere, and the control database is just the server the settings name first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from foundation.stores.errors import MigrationError

_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_LOCK_KEY = 0x706F7072  # "popr"
_TABLE = """
create table if not exists schema_migrations (
    number int primary key, name text not null, sha256 text not null, applied_at timestamptz not null default now()
)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(folders: Iterable[Path]) -> tuple[Migration, ...]:
    """All migrations of the folders by number. Raises MigrationError on a bad name or a number used twice."""
    found: dict[int, Migration] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.sql"))):
        match = _NAME.match(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: migrations are named NNNN_words.sql")
        number = int(match[1])
        if number in found:
            raise MigrationError(f"{path.name} and {found[number].name} share a number")
        found[number] = Migration(number=number, name=path.name, sql=path.read_text(encoding="utf-8"))
    return tuple(found[number] for number in sorted(found))


async def migrate(dsn: str, migrations: tuple[Migration, ...]) -> tuple[str, ...]:
    """Apply what is missing on one server; returns the names applied now. Raises MigrationError, OSError."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK_KEY)
        await connection.execute(_TABLE)
        rows = await connection.fetch("select number, name, sha256 from schema_migrations")
        applied = {row["number"]: row["sha256"] for row in rows}
        return tuple([m.name for m in migrations if await _apply(connection, m, applied.get(m.number))])
    finally:
        await connection.close()


async def _apply(connection: asyncpg.Connection, migration: Migration, recorded: str | None) -> bool:
    if recorded == migration.sha256:
        return False
    if recorded is not None:
        raise MigrationError(f"{migration.name} changed after it was applied: restore it and add a new number")
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "insert into schema_migrations (number, name, sha256) values ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.sha256,
            )
    except asyncpg.PostgresError as err:
        raise MigrationError(f"{migration.name}: {err}") from err
    return True
