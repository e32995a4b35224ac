"""`python -m origin.migrate --config FILE`: bring every Postgres server of the settings to the current schema."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

import asyncpg

from foundation.errors import PopreelError
from foundation.settings import load
from foundation.stores.migrations import Migration, migrate, read_migrations
from foundation.stores.shard_map import PostgresServer
from origin.settings import OriginSettings

_FOLDERS = (
    Path(__file__).parent.parent / "foundation" / "stores" / "sql",
    Path(__file__).parent / "sql" / "migrations",
)


def origin_migrations() -> tuple[Migration, ...]:
    return read_migrations(_FOLDERS)


async def migrate_all(servers: tuple[PostgresServer, ...]) -> dict[str, tuple[str, ...]]:
    """Migrate every server, one after the other; names applied by server. Raises MigrationError, OSError."""
    migrations = origin_migrations()
    return {server.name: await migrate(str.__str__(server.dsn), migrations) for server in servers}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m origin.migrate")
    parser.add_argument("--config", type=Path)
    arguments = parser.parse_args()
    try:
        settings = load(OriginSettings, file=arguments.config, environ=os.environ)
        applied = asyncio.run(migrate_all(settings.postgres))
    except (PopreelError, OSError, asyncpg.PostgresError) as err:
        print(f"origin.migrate: {err}", file=sys.stderr)
        raise SystemExit(2) from None
    for name, migrations in applied.items():
        print(f"{name}: {', '.join(migrations) or 'up to date'}")


if __name__ == "__main__":
    main()
