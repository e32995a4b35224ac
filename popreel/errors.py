"""Errors of the roof. Each message tells the person at the terminal what to do.

PopreelError
├── LauncherError
│   ├── AlreadyRunning     another supervisor owns the data folder
│   ├── NotRunning         a command needs the platform, which is not up
│   ├── NotOurFolder       a data folder with somebody else's files
│   ├── PortsTaken         named with who must move
│   └── StartFailed        a process did not become ready; carries its log's tail
└── Refused                a service answered with a problem (RFC 9457)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foundation.errors import PopreelError


class LauncherError(PopreelError):
    code = "launcher"
    title = "The platform cannot be run"


class AlreadyRunning(LauncherError):
    code = "already-running"
    title = "popreel already runs here"


class NotRunning(LauncherError):
    code = "not-running"
    title = "popreel is not running: start it with `popreel up --detach`"


class NotOurFolder(LauncherError):
    code = "not-our-folder"
    title = "The data folder is not ours"


class PortsTaken(LauncherError):
    code = "ports-taken"
    title = "Ports are in use"


class StartFailed(LauncherError):
    code = "start-failed"
    title = "A process did not become ready"


class Refused(PopreelError):
    """A service answered with a problem (RFC 9457); `detail` is the service's own text."""

    code = "refused"
    title = "The service refused"

    def __init__(
        self,
        detail: str = "",
        /,
        *,
        http_status: int = 0,
        problem: Mapping[str, Any] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """problem: the decoded document, empty if the answer was none."""
        super().__init__(detail, retry_after_s=retry_after_s)
        self.http_status = http_status
        self.problem = problem or {}

    @property
    def problem_code(self) -> str:
        """Last segment of the problem's `type`."""
        return str(self.problem.get("type", "")).rpartition("/")[2]
