"""Trying again while a service is being restarted. Only for calls that may be repeated."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp

from foundation.errors import Unavailable
from popreel.errors import Refused

T = TypeVar("T")
PATIENCE_S = 60.0
_FIRST_S, _LONGEST_S = 0.1, 3.0
_AGAIN = frozenset({429, 500, 502, 503, 504})


async def patiently(call: Callable[[], Awaitable[T]], *, patience_s: float = PATIENCE_S) -> T:
    """The result of `call`, tried again on broken connections and on 429 and 5xx answers, for `patience_s` in all.

    Waits 0.1 to 3 s between tries, jittered, longer if the answer's Retry-After asks for it. Raises what the last try
    raised: Refused at once for other answers, else Unavailable.
    """
    loop = asyncio.get_running_loop()
    give_up, pause_s = loop.time() + patience_s, _FIRST_S
    while True:
        try:
            return await call()
        except Refused as err:
            if err.http_status not in _AGAIN or loop.time() + pause_s > give_up:
                raise
            pause_s = max(pause_s, err.retry_after_s or 0.0)
        except (aiohttp.ClientError, TimeoutError) as err:
            if loop.time() + pause_s > give_up:
                raise Unavailable(f"no answer for {patience_s:.0f} s: {type(err).__name__} {err}") from err
        await asyncio.sleep(pause_s * random.uniform(0.7, 1.3))
        pause_s = min(pause_s * 2, _LONGEST_S)
