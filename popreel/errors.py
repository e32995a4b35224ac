"""Errors of the roof. Each message tells the person at the terminal what to do.

PopreelError
└── LauncherError
    ├── AlreadyRunning     another supervisor owns the data folder
    ├── NotRunning         a command needs the platform, which is not up
    ├── NotOurFolder       a data folder with somebody else's files
    ├── PortsTaken         named with who must move
    └── StartFailed        a process did not become ready; carries its log's tail
"""

from __future__ import annotations

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
