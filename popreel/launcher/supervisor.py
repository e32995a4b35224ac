"""Starts units in stages, keeps them running, stops them in the reverse order.

One task per unit waits for its end and starts it again with growing pauses; another asks it for a sign of life and
kills it when it has given none for `hang_after_s`, which is an end like any other. Everything that happens is told to a
`Reporter`: the state file, the log and the terminal listen there.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from foundation.errors import PopreelError
from popreel.errors import StartFailed
from popreel.launcher.backoff import Backoff
from popreel.launcher.state_file import UnitPhase
from popreel.launcher.unit import Unit
from popreel.launcher.watchdog import Pulse, look_every_s, overslept

_log = logging.getLogger(__name__)
_START_ATTEMPTS = 3
"""Of each process before `up` gives up. More than one: a dependency may be killed while we start."""

_LOOK_AGAIN_S = 1.0
"""Between two looks at a process that runs without being ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Units that start together, and a step to take once all of them are ready (migrations)."""

    units: tuple[Unit, ...]
    then: Callable[[], Awaitable[None]] | None = None


@dataclass(slots=True, kw_only=True)
class Watched:
    """A unit and what we know of it."""

    unit: Unit
    phase: UnitPhase = UnitPhase.WAITING
    restarts: int = 0
    last_exit: str = ""
    killed_because: str = ""
    """Of a kill under way, until its end is seen."""
    started_s: float = 0.0
    backoff: Backoff = field(default_factory=Backoff)


Reporter = Callable[[Watched], None]


class Supervisor:
    """Runs `stages`. One instance runs once: start(), then stop()."""

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        report: Reporter,
        start_deadline_s: float,
        hang_after_s: float = 0.0,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """hang_after_s: silence after which a ready process counts as hung and is killed; 0: never."""
        self._stages = tuple(stages)
        self._report = report
        self._start_deadline_s = start_deadline_s
        self._hang_after_s = hang_after_s
        self._clock_s = clock_s
        self._watched = {unit.name: Watched(unit=unit) for stage in self._stages for unit in stage.units}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._watchdogs: dict[str, asyncio.Task[None]] = {}

    @property
    def watched(self) -> Mapping[str, Watched]:
        return self._watched

    async def start(self) -> None:
        """Return once every unit is ready; each is kept running from its first readiness on. Raises StartFailed."""
        for stage in self._stages:
            # gather, not a TaskGroup: the first failure is the one to show, and stop() deals with the others
            starts = [asyncio.create_task(self._first_start(self._watched[unit.name])) for unit in stage.units]
            try:
                await asyncio.gather(*starts)
            finally:
                for task in starts:
                    task.cancel()
                await asyncio.gather(*starts, return_exceptions=True)
            if stage.then is not None:
                await stage.then()

    async def stop(self) -> None:
        """Stop keeping, then stop stage after stage from the last to the first, each stage's units together."""
        tasks = (*self._watchdogs.values(), *self._keepers.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for stage in reversed(self._stages):
            await asyncio.gather(*(self._stop(self._watched[unit.name]) for unit in stage.units))

    async def _stop(self, watched: Watched) -> None:
        await watched.unit.stop()
        self._tell(watched, UnitPhase.STOPPED)

    async def _first_start(self, watched: Watched) -> None:
        for attempt in range(1, _START_ATTEMPTS + 1):
            try:
                await self._start(watched)
                break
            except PopreelError as err:
                if attempt == _START_ATTEMPTS or not err.retryable:
                    raise StartFailed(f"{watched.unit.name} could not be started: {err.detail}") from err
                _log.warning(err.detail, extra={"event": "start_failed", "unit": watched.unit.name})
                await watched.unit.stop()
                watched.restarts += 1
        name = watched.unit.name
        self._keepers[name] = asyncio.create_task(self._keep(watched), name=f"keep {name}")
        if self._hang_after_s:
            self._watchdogs[name] = asyncio.create_task(self._watch(watched), name=f"watch {name}")

    async def _start(self, watched: Watched) -> None:
        self._tell(watched, UnitPhase.STARTING)
        watched.started_s = self._clock_s()
        await watched.unit.start()
        await self._await_ready(watched)

    async def _await_ready(self, watched: Watched) -> None:
        await watched.unit.ready(deadline_s=self._start_deadline_s)
        self._tell(watched, UnitPhase.READY)

    async def _keep(self, watched: Watched) -> None:
        """Start the unit again whenever it ends, until cancelled."""
        unit = watched.unit
        while True:
            code = await unit.wait()
            watched.last_exit = describe_exit(code) + (f", {watched.killed_because}" if watched.killed_because else "")
            watched.killed_because = ""
            pause_s, watched.backoff = watched.backoff.after(ran_s=self._clock_s() - watched.started_s)
            watched.restarts += 1
            self._tell(watched, UnitPhase.RESTARTING)
            _log.warning(
                "%s ended (%s), starting it again in %.1f s",
                unit.name,
                watched.last_exit,
                pause_s,
                extra={"event": "unit_ended", "unit": unit.name, "restarts": watched.restarts},
            )
            await asyncio.sleep(pause_s)  # the back-off itself
            await self._start_again(watched)

    async def _watch(self, watched: Watched) -> None:
        """Kill the unit when it runs, was ready, and has not answered for `hang_after_s`; until cancelled."""
        pause_s, pulse = look_every_s(self._hang_after_s), Pulse(self._clock_s())
        while True:
            before_s = self._clock_s()
            await asyncio.sleep(pause_s)
            slept_s, pid = self._clock_s() - before_s, watched.unit.pid
            if (
                watched.phase is not UnitPhase.READY
                or overslept(slept_s=slept_s, asked_s=pause_s, limit_s=self._hang_after_s)
                or await self._gives_a_sign(watched, pulse)
                or watched.unit.pid != pid
            ):
                pulse = Pulse(self._clock_s())
            elif pulse.hung(now_s=self._clock_s(), limit_s=self._hang_after_s):
                self._kill_hung(watched, pulse)
                pulse = Pulse(self._clock_s())

    async def _gives_a_sign(self, watched: Watched, pulse: Pulse) -> bool:
        left_s = self._hang_after_s - pulse.silent_s(now_s=self._clock_s())
        try:
            async with asyncio.timeout(max(left_s, 1.0)):
                return await watched.unit.answers()
        except TimeoutError:
            return False

    def _kill_hung(self, watched: Watched, pulse: Pulse) -> None:
        watched.killed_because = f"no answer for {pulse.silent_s(now_s=self._clock_s()):.0f} s"
        _log.error(
            "%s runs but hangs (%s): killing it",
            watched.unit.name,
            watched.killed_because,
            extra={"event": "unit_hung", "unit": watched.unit.name, "pid": watched.unit.pid},
        )
        watched.unit.kill()

    async def _start_again(self, watched: Watched) -> None:
        """One more start. A process that runs but is not ready is left to it: what it waits for may be away as well."""
        step = self._start
        while watched.phase is not UnitPhase.READY:
            try:
                await step(watched)
            except Exception:  # whatever it is (a full disk, say), the unit must stay watched
                _log.exception("%s did not start", watched.unit.name, extra={"event": "restart_failed"})
                if watched.unit.pid is None:
                    return
                step = self._await_ready
                await asyncio.sleep(_LOOK_AGAIN_S)
        _log.info("%s is back", watched.unit.name, extra={"event": "unit_back", "unit": watched.unit.name})

    def _tell(self, watched: Watched, phase: UnitPhase) -> None:
        watched.phase = phase
        self._report(watched)


def describe_exit(code: int) -> str:
    """ "exit 2" or "signal SIGKILL"."""
    if code >= 0:
        return f"exit {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
