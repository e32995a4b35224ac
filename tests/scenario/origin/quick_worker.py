"""`python -m tests.scenario.origin.quick_worker SETTINGS.msgpack`: a worker with the quick encoder, to be killed.

`... flusher` runs only a counter flusher, without a pause between flushes.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from foundation.settings import Secret
from foundation.stores.postgres import PoolLimits, Shards
from origin import worker
from origin.engagement.counters import CounterFlusher
from origin.settings import OriginSettings
from packager.events import Event
from tests.origin_harness import quick_encoder


def save(settings: OriginSettings, path: Path) -> Path:
    path.write_bytes(msgspec.msgpack.encode(settings, enc_hook=str))
    return path


def load(path: Path) -> OriginSettings:
    def special(kind: type, value: Any) -> Any:
        return Secret(value) if kind is Secret else Path(value)

    return msgspec.msgpack.decode(path.read_bytes(), type=OriginSettings, dec_hook=special)


async def slow_encoder(source: Path, out_dir: Path, **options: Any) -> AsyncIterator[Event]:
    """The quick encoder with pauses, so that a kill or a delete meets every stage."""
    async for event in quick_encoder(source, out_dir, **options):
        await asyncio.sleep(random.uniform(0, 0.08))
        yield event


async def work(settings: OriginSettings) -> None:
    async with worker.compose(settings, encoder=slow_encoder):
        print("started", flush=True)
        await asyncio.Event().wait()


async def flush(settings: OriginSettings) -> None:
    shards = Shards(settings.postgres, limits=PoolLimits(size=2))
    await shards.open()
    print("started", flush=True)
    while True:
        await CounterFlusher(shards, interval_s=0, batch=7).flush()


if __name__ == "__main__":
    given = load(Path(sys.argv[1]))
    asyncio.run(flush(given) if sys.argv[2:] == ["flusher"] else work(given))
