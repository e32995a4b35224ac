"""Tasks that must go on until they are done, ending tasks that must end, and long work that leaves the loop free."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from foundation.errors import PopreelError

_log = logging.getLogger(__name__)
_AGAIN_AFTER_S = 1.0


async def until_done(name: str, run: Callable[[], Awaitable[object]]) -> None:
    """Run a duty, again whenever it fails.

    Most duties never end; what is done once (rows for videos from before an index) ends when it has succeeded.
    """
    while True:
        try:
            await run()
            return
        except (PopreelError, OSError) as err:
            _log.warning("duty interrupted", extra={"event": "duty_interrupted", "duty": name, "cause": repr(err)})
        except Exception:
            _log.exception("duty broke, starting it again", extra={"event": "duty_broke", "duty": name})
        await asyncio.sleep(_AGAIN_AFTER_S)


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


class TurnShare:
    """Time that a long piece of work may take of each turn of the event loop: what one of its steps costs differs, and
    a number of them would be too many or too few."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._seconds = seconds
        self._clock = clock
        self._end_s = clock() + seconds

    async def give_way(self) -> None:
        """Between two steps: let everything else go on once the share is used up."""
        if self._clock() >= self._end_s:
            await asyncio.sleep(0)
            self._end_s = self._clock() + self._seconds
