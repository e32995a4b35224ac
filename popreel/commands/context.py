"""What every command starts from: the settings, the folder, the state of the running platform, the terminal."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from foundation.errors import SettingsError
from popreel.errors import NotRunning
from popreel.launcher.instance import holder
from popreel.launcher.layout import DataFolder
from popreel.launcher.state_file import Phase, PlatformState, read_state
from popreel.settings import PlatformSettings, platform_settings

DEFAULT_FILE = Path("popreel.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Settings as the command sees them. `out` is for people; with --json only the document is printed."""

    file: Path | None
    settings: PlatformSettings
    out: Console

    @property
    def folder(self) -> DataFolder:
        return DataFolder(root=self.settings.data_dir)

    def running(self) -> PlatformState:
        """The state of the platform that runs on this folder. Raises NotRunning."""
        pid, state = holder(self.folder.lock), read_state(self.folder.state)
        if pid is None or state is None or state.supervisor_pid != pid:
            raise NotRunning(f"nothing runs on {self.folder.root}: start it with `popreel up --detach`")
        return state

    def ready(self) -> PlatformState:
        """As running(), and ready. Raises NotRunning."""
        state = self.running()
        if state.phase is not Phase.READY:
            raise NotRunning(f"popreel is {state.phase}: try again once `popreel status` says ready")
        return state


def make_context(config: Path | None) -> Context:
    """config: --config, or popreel.toml of this folder if it exists. Raises SettingsError."""
    if config is not None and not config.is_file():
        raise SettingsError(f"no settings file at {config}")
    file = config or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    settings = platform_settings(file=file, environ=os.environ)
    return Context(file=file and file.absolute(), settings=settings, out=Console(highlight=False))
