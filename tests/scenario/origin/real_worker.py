"""`python -m tests.scenario.origin.real_worker SETTINGS.msgpack`: the worker as it is, to be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from origin import worker
from origin.settings import OriginSettings
from tests.scenario.origin.saved_settings import load


async def work(settings: OriginSettings) -> None:
    async with worker.compose(settings):
        print("started", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(load(Path(sys.argv[1]))))
