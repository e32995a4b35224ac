"""`popreel shards` against two databases, as an operator types it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from foundation.settings import Secret
from foundation.stores.shard_map import Family, PostgresServer, format_ranges, parse_ranges, shard_of
from origin.migrate import migrate_all
from origin.shards import TABLES
from popreel.launcher.toml_text import render
from tests.conftest import run_here

USERS = range(1, 201)


@pytest.fixture
def dsns(postgres_database: Callable[[], str]) -> tuple[str, str]:
    """A server with all shards and 200 users, and an empty one."""
    dsns = postgres_database(), postgres_database()
    run_here(migrate_all(tuple(PostgresServer(name=f"pg{n}", dsn=Secret(dsn)) for n, dsn in enumerate(dsns, start=1))))
    run_here(fill(dsns[0]))
    return dsns


async def fill(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.copy_records_to_table(
            "users",
            records=[(user, shard_of(Family.USER, user), f"u{user}", f"u{user}") for user in USERS],
            columns=["id", "shard", "username", "display_name"],
        )
    finally:
        await connection.close()


async def column(dsn: str, query: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch(query)]
    finally:
        await connection.close()


@pytest.fixture
def config(dsns: tuple[str, str], tmp_path: Path) -> Path:
    servers = [{"name": "pg1", "dsn": dsns[0], "videos": "0-63", "users": "0-31"}, {"name": "pg2", "dsn": dsns[1]}]
    objects = {"endpoint": "http://127.0.0.1:1", "access_key": "a", "secret_key": "s", "bucket": "b"}
    file = tmp_path / "origin.toml"
    file.write_text(render({"origin": {"postgres": servers, "valkey_url": "redis://127.0.0.1:1", "objects": objects}}))
    return file


def popreel(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "popreel", "shards", *arguments, "--origin-config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=config.parent)


def test_shards_are_listed_moved_and_counted_at_their_new_place(config: Path, dsns: tuple[str, str]) -> None:
    before = json.loads(popreel(config, "list", "--json").stdout)
    assert {(e["family"], e["server"]): (e["shards"], e["rows"]) for e in before} == {
        ("video", "pg1"): ("0-63", 0),
        ("video", "pg2"): ("", 0),
        ("user", "pg1"): ("0-31", 200),
        ("user", "pg2"): ("", 0),
    }
    moved = popreel(config, "move", "--family", "user", "--shards", "3-4", "--to", "pg2")
    assert moved.returncode == 0, moved.stderr
    again = popreel(config, "move", "--family", "user", "--shards", "4-5", "--to", "pg2")
    assert "user shard 4 is on pg2 already" in again.stdout
    expected = sum(shard_of(Family.USER, user) in (3, 4, 5) for user in USERS)
    after = {(e["family"], e["server"]): e for e in json.loads(popreel(config, "list", "--json").stdout)}
    assert (after["user", "pg2"]["shards"], after["user", "pg2"]["rows"]) == ("3-5", expected)
    assert (after["user", "pg1"]["shards"], after["user", "pg1"]["rows"]) == ("0-2,6-31", 200 - expected)
    assert "0-2,6-31" in popreel(config, "list").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--family", "user", "--shards", "0", "--to", "pg9"), "no server 'pg9'"),
        (("--family", "user", "--shards", "32", "--to", "pg2"), "outside 0-31"),
        (("--family", "user", "--shards", "a-b", "--to", "pg2"), "write numbers and ranges"),
    ],
)
def test_a_move_that_cannot_be_says_why(config: Path, arguments: tuple[str, ...], words: str) -> None:
    refused = popreel(config, "move", *arguments)
    assert refused.returncode != 0
    assert words in refused.stderr


def test_every_table_with_a_shard_column_moves(dsns: tuple[str, str]) -> None:
    """A new table that nobody put on the mover's list would stay behind."""
    found = run_here(
        column(
            dsns[0],
            """select c.relname from pg_attribute a join pg_class c on c.oid = a.attrelid
               where a.attname = 'shard' and c.relkind in ('r', 'p') and not c.relispartition
               and c.relnamespace = current_schema()::regnamespace""",
        )
    )
    assert set(found) - {"jobs", "shard_fences", "shard_moves"} == {t for tables in TABLES.values() for t in tables}


def test_ranges_are_written_as_they_are_read() -> None:
    assert format_ranges((0, 1, 2, 40, 7)) == "0-2,7,40"
    assert parse_ranges(format_ranges(range(64)), size=64) == tuple(range(64))
    assert format_ranges(()) == ""
