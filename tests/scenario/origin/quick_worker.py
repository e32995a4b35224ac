"""`python -m tests.scenario.origin.quick_worker SETTINGS.msgpack`: a worker with the quick encoder, to be killed."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from origin import worker
from origin.settings import OriginSettings
from packager.events import Event
from tests.origin_harness import quick_encoder
from tests.scenario.origin.saved_settings import load


async def slow_encoder(source: Path, out_dir: Path, **options: Any) -> AsyncIterator[Event]:
    """The quick encoder with pauses, so that a kill or a delete meets every stage."""
    async for event in quick_encoder(source, out_dir, **options):
        await asyncio.sleep(random.uniform(0, 0.08))
        yield event


async def work(settings: OriginSettings) -> None:
    async with worker.compose(settings, encoder=slow_encoder):
        print("started", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(load(Path(sys.argv[1]))))
