"""The access log: one line a second that says what was served, by outcome; a quiet second writes nothing.

A line a request would cost more than the hit it tells of; the slow lane's rare and interesting cases keep their class.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from edge.delivery.tally import Tally

_log = logging.getLogger("edge.delivery.access")


class AccessLog:
    """Writes the difference between the tally now and a second ago."""

    def __init__(self, tally: Tally, *, every_s: float = 1.0) -> None:
        self._tally = tally
        self._every_s = every_s
        self._before: dict[str, int] = {}
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            self.write()

    def write(self) -> None:
        """Log what has happened since the last line."""
        now = snapshot(self._tally)
        change = {name: count - self._before.get(name, 0) for name, count in now.items()}
        self._before = now
        seen: dict[str, Any] = {name: count for name, count in change.items() if count}
        if seen:
            _log.info("served", extra={"event": "access", **seen})

    async def close(self) -> None:
        """Write the last line and stop."""
        self.write()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def snapshot(tally: Tally) -> dict[str, int]:
    """Running totals by outcome and status class; names become fields of the log line."""
    fast = tally.fast
    totals = {
        "fast_hit": fast.hits,
        "fast_bytes": fast.bytes,
        "slow_bytes": sum(tally.body_bytes.values()),
        "collapsed": tally.collapsed,
        "truncated": tally.truncated,
        "slow_us": int(tally.seconds * 1e6),
    }
    for (outcome, status_class), count in tally.requests.items():
        totals[f"{outcome}_{status_class}xx"] = count
    return totals
