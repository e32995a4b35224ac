"""`python -m tests.scenario.origin.quick_flusher SETTINGS.msgpack`: a flusher without pauses, to be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from foundation.stores.postgres import PoolLimits, Shards
from origin.engagement.counters import CounterFlusher
from origin.settings import OriginSettings
from tests.scenario.origin.saved_settings import load


async def flush(settings: OriginSettings) -> None:
    shards = Shards(settings.postgres, limits=PoolLimits(size=2))
    await shards.open()
    print("started", flush=True)
    while True:
        await CounterFlusher(shards, interval_s=0, batch=7).flush()


if __name__ == "__main__":
    asyncio.run(flush(load(Path(sys.argv[1]))))
