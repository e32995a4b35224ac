"""`python -m popreel.launcher [--config FILE]`: the supervisor in the background (`popreel up --detach` starts it)."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from foundation.errors import PopreelError
from foundation.telemetry import logs
from popreel.launcher.platform import Platform
from popreel.launcher.run import run_platform
from popreel.settings import platform_settings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m popreel.launcher")
    parser.add_argument("--config", type=Path)
    file = parser.parse_args().config
    logs.configure("supervisor")
    try:
        settings = platform_settings(file=file, environ=os.environ)
        asyncio.run(run_platform(Platform(settings, file=file), on_state=lambda state: None))
    except PopreelError as err:
        print(err.detail, file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
