"""`popreel train`: a new release of the feed's model from what was watched on this installation.

The catalogue comes from the origin, the watch events straight from Postgres (they are many, and no API serves them);
both are written as NDJSON, which is also what --catalogue and --events take. --export leaves the events as Parquet
instead, for other tools; `popreel train --events events.parquet` takes that too.
"""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path

import aiohttp
import asyncpg

from foundation.errors import Unavailable
from inference.feed.model import FIRST_MODEL, load
from inference.training.event_log import read_log
from inference.training.parquet import write_events
from inference.training.release import Release, make_release
from popreel.commands.context import Context
from popreel.commands.services import open_services

SPACE = "content-1"
_PROJECT = Path(__file__).parents[2]
MODELS = _PROJECT / ".cache" / "models"

# One WatchEvent (foundation/wire/events.py) a row; the bits of `flags` stand in origin's migration of the table.
_EVENTS = """
select jsonb_build_object('eventId', event_key, 'viewer', viewer, 'popId', pop_id,
    'receivedAtMs', (extract(epoch from received_at) * 1000)::bigint,
    'report', jsonb_build_object('videoId', video_id::text, 'watchDuration', watch_ms, 'totalDuration', total_ms,
        'liked', flags & 1 > 0, 'commented', flags & 2 > 0, 'shared', flags & 4 > 0, 'followedCreator', flags & 8 > 0,
        'notInterested', flags & 16 > 0, 'source', source, 'deviceType', device, 'sessionId', session_id,
        'impression', impression, 'startTimeMs', start_ms, 'rebuffers', rebuffers))::text as event
from watch_events order by received_at"""
_ROWS_AT_ONCE = 2000


async def export_log(context: Context, folder: Path) -> tuple[Path, Path]:
    """Write catalogue.ndjson and events.ndjson of the running installation. Raises NotRunning, Unavailable."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    catalogue, events = folder / "catalogue.ndjson", folder / "events.ndjson"
    await _export_catalogue(context, catalogue)
    await _export_events(context, events)
    return catalogue, events


async def _export_catalogue(context: Context, file: Path) -> None:
    async with open_services(context) as services:
        url = f"{services.urls['origin']}/internal/v1/catalogue/snapshot"
        headers = {"Authorization": f"Bearer {services.service_key}"}
        try:
            async with services.session.get(url, headers=headers, raise_for_status=True) as answer:
                with file.open("wb") as out:
                    async for chunk in answer.content.iter_chunked(1 << 20):
                        await asyncio.to_thread(out.write, chunk)
        except (TimeoutError, aiohttp.ClientError) as err:
            raise Unavailable(f"the origin gave no catalogue: {err}") from err


async def _export_events(context: Context, file: Path) -> None:
    config = tomllib.loads((context.folder.run / "origin.toml").read_text("utf-8"))
    try:
        with file.open("w", encoding="utf-8") as out:
            for server in config["origin"]["postgres"]:
                connection = await asyncpg.connect(server["dsn"], timeout=10)
                try:
                    async with connection.transaction(readonly=True):
                        cursor = await connection.cursor(_EVENTS)
                        while rows := await cursor.fetch(_ROWS_AT_ONCE):
                            text = "".join(row["event"] + "\n" for row in rows)  # jsonb text holds no line breaks
                            await asyncio.to_thread(out.write, text)
                finally:
                    await connection.close()
    except (OSError, asyncpg.PostgresError) as err:
        raise Unavailable(f"the database gave no watch events: {err}") from err


def export_parquet(catalogue: Path, events: Path, folder: Path) -> str:
    """Events as events.parquet beside the catalogue; what was written, for people. Raises BadInput, Unavailable."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "events.parquet"
    count = write_events(events, target) if events != target else 0
    if events.parent == folder and events.suffix == ".ndjson":
        events.unlink()  # it was only the way to the Parquet file
    return f"{catalogue} and {target}: {count} events"


def train(*, catalogue: Path, events: Path, current: str, seed: int) -> Release:
    """Fit and judge; CPU-bound, minutes. current: name of the release in use, "" for the one shipped. Raises BadInput,
    PopreelError when there are too few events."""
    log = read_log(catalogue=catalogue, events=events)
    model = load(MODELS / current if current else FIRST_MODEL)
    return make_release(log, out=MODELS, current=model, space=SPACE, seed=seed)
