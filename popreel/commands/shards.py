"""`popreel shards`: where the logical shards are, and moving them while everything runs (origin/shards.py)."""

from __future__ import annotations

import os
from pathlib import Path

import asyncpg
from rich.table import Table

from foundation.errors import BadInput, Unavailable
from foundation.settings import load
from foundation.stores.shard_map import Family, parse_ranges
from origin.settings import OriginSettings
from origin.shards import Moved, ServerShards, ShardMover, open_shards, overview
from popreel.commands.context import Context


def origin_settings(context: Context, file: Path | None) -> OriginSettings:
    """Of `file`, else of this folder's installation as it was started last. Raises SettingsError, BadInput."""
    file = file or context.folder.run / "origin.toml"
    if not file.is_file():
        raise BadInput(f"no origin settings at {file}: start the installation once, or name them with --origin-config")
    return load(OriginSettings, file=file, environ=os.environ)


async def list_shards(settings: OriginSettings) -> tuple[ServerShards, ...]:
    """Raises ShardUnavailable."""
    async with open_shards(settings) as shards:
        return await overview(shards)


def print_shards(context: Context, found: tuple[ServerShards, ...]) -> None:
    table = Table("family", "server", "logical shards", "rows", "replicas")
    for held in found:
        rows = "away" if held.rows is None else f"{held.rows:,}"
        table.add_row(str(held.family), held.server, held.shards or "none", rows, str(held.replicas))
    context.out.print(table)


async def move_shards(context: Context, settings: OriginSettings, family: str, ranges: str, target: str) -> list[Moved]:
    """One after the other, told as they arrive; those on `target` already are passed over. Raises BadInput (no such
    server or range), Unavailable (a server broke off: run it again, what has moved stays)."""
    wanted = Family(family)
    numbers = parse_ranges(ranges, size=wanted.size)
    moved = []
    try:
        async with open_shards(settings) as shards:
            await shards.refresh_map()
            for shard in numbers:
                if shards.map.server(wanted, shard) == target:
                    context.out.print(f"{wanted} shard {shard} is on {target} already")
                    continue
                moved.append(await ShardMover(shards).move(wanted, shard, target))
                context.out.print(f"{wanted} shard {shard}: {moved[-1].rows:,} rows to {target}")
    except (OSError, asyncpg.PostgresError) as err:
        raise Unavailable(f"the move broke off ({err}): run the command again") from err
    return moved
