"""Packages one file and prints when its first rung was playable: the process that bench/packager.py measures."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from packager.engine import package
from packager.events import Playable
from packager.limits import Limits


async def package_once(source: Path, out_dir: Path, limits: Limits) -> float:
    """Seconds until the clip could be played; returns when all rungs are there."""
    start = time.monotonic()
    first_s = 0.0
    async for event in package(source, out_dir, limits=limits, deadline_s=1800):
        if isinstance(event, Playable):
            first_s = time.monotonic() - start
    return first_s


if __name__ == "__main__":
    held = int(sys.argv[3])
    chosen = Limits() if held < 0 else Limits(frame_memory_bytes=held)
    print(json.dumps({"firstRungS": asyncio.run(package_once(Path(sys.argv[1]), Path(sys.argv[2]), chosen))}))
