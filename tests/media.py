"""Real clips for tests, kept in the project's git-ignored .cache/ between runs."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from popreel.demo_clips import clip_path

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "media"
_lock = threading.Lock()


def clip(name: str) -> Path:
    """The clip of that name (popreel.demo_clips): "bikes" 10 s 640x272 silent, "bunny-720p" 5 s with 5.1 sound,
    "world" 30 s 480x270, "hd-15s" 1920x1080 15 s, "portrait-tree" 720x1280 12 s, "park" 0.6 s, "carphone" wide pixels.

    Blocks while fetching; may be called with or without a running loop.
    """
    with _lock, ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(clip_path(name, CACHE))).result()
