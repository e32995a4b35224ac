"""Ending tasks that must end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


async def end_tasks(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel `tasks` until each has ended, and take their results.

    Once is not enough on Python 3.11: `asyncio.wait_for` (asyncpg and redis use it) drops a cancellation that arrives
    in the instant its awaitable completes (python/cpython#86296, fixed in 3.12), and a loop would run on for ever.
    """
    everything = list(tasks)
    pending = {task for task in everything if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1)
    await asyncio.gather(*everything, return_exceptions=True)
