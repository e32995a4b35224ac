"""When a process that runs has stopped answering: a hang ends nothing, so nobody would restart it. Pure.

Silence is counted from the last answer. An oversleeping observer (the machine was suspended, or so busy that we did
not run either) says nothing about the process, so the count begins anew then.
"""

from __future__ import annotations

from dataclasses import dataclass

_LOOKS_PER_LIMIT = 6
_MOST_BETWEEN_LOOKS_S = 10.0


@dataclass(frozen=True, slots=True)
class Pulse:
    """`heard_s`: when the process answered last, or was first watched."""

    heard_s: float

    def silent_s(self, *, now_s: float) -> float:
        return now_s - self.heard_s

    def hung(self, *, now_s: float, limit_s: float) -> bool:
        return self.silent_s(now_s=now_s) >= limit_s


def look_every_s(limit_s: float) -> float:
    """Several looks within the limit: one lost answer is not a hang."""
    return min(limit_s / _LOOKS_PER_LIMIT, _MOST_BETWEEN_LOOKS_S)


def overslept(*, slept_s: float, asked_s: float, limit_s: float) -> bool:
    """Whether our own pause took so much longer than asked that silence meanwhile proves nothing."""
    return slept_s - asked_s > limit_s / 2
