"""For what another process does and nothing announces: ask again until it is so, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


async def until(what: Callable[[], Awaitable[Any]], *, seconds: float) -> Any:
    """The first true answer. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (found := await what()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return found
