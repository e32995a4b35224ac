"""One way to follow an ordered log of the centre: long-poll after the last sequence number, for ever.

The centre may be away for hours: the follower waits with bounded, jittered backoff and goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

import aiohttp

from foundation.settings import Secret

_log = logging.getLogger(__name__)
WAIT_MS = 20_000
_TIMEOUT = aiohttp.ClientTimeout(total=WAIT_MS / 1000 + 10, sock_connect=3)
_MAX_BODY_BYTES = 64 * 1024 * 1024
BACKOFF_S = (0.2, 5.0)


async def follow(
    *,
    session: aiohttp.ClientSession,
    url: str,
    service_key: Secret,
    after: int,
    apply: Callable[[bytes], Awaitable[int]],
    event: str,
    jitter: Callable[[], float] = random.random,
) -> None:
    """GET `url`?after=N&waitMs=... until cancelled; `apply` takes the body and returns the new position.

    The first question does not wait: its answer, even if empty, tells that nothing was missed. `event` names the log in
    log lines; only the first failure of a row is logged.
    """
    headers = {"Authorization": f"Bearer {str.__str__(service_key)}"}
    backoff_s = 0.0
    wait_ms = 0
    while True:
        try:
            query = {"after": str(after), "waitMs": str(wait_ms)}
            async with session.get(url, params=query, headers=headers, timeout=_TIMEOUT) as answer:
                answer.raise_for_status()
                after = await apply(await _read(answer))
            backoff_s, wait_ms = 0.0, WAIT_MS
        except (aiohttp.ClientError, TimeoutError, ValueError) as err:
            if backoff_s == 0.0:
                _log.warning("%s: %s", event, err, extra={"event": event})
            backoff_s = min(BACKOFF_S[1], max(BACKOFF_S[0], backoff_s * 2))
            await asyncio.sleep(backoff_s * (0.5 + jitter()))


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    if (answer.content_length or 0) > _MAX_BODY_BYTES:
        raise ValueError(f"the answer is larger than {_MAX_BODY_BYTES} bytes")
    return await answer.read()
