"""Storyboard: one sheet of small pictures, and the WebVTT file that says which one belongs to which second."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from packager.picture.poster import Rgb

MAX_TILES = 100
TILE_EDGE = 160
"""Longest edge of a tile: enough for a finger on a progress bar."""


def tile_count(duration_s: float) -> int:
    """One a second, up to MAX_TILES over the whole clip."""
    return max(1, min(MAX_TILES, math.ceil(duration_s)))


def sheet(tiles: Sequence[Rgb]) -> tuple[Rgb, int]:
    """(all tiles on one picture, row by row; number of columns). Tiles are of one size, at least one."""
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    height, width, _ = tiles[0].shape
    board = np.zeros((rows * height, columns * width, 3), np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * height, place % columns * width
        board[top : top + height, left : left + width] = tile
    return board, columns


def vtt(*, count: int, columns: int, width: int, height: int, duration_s: float, image: str) -> str:
    """WebVTT cues with media fragments (`image#xywh=`) that cover the whole duration without gaps."""
    cues = ["WEBVTT"]
    for place in range(count):
        left, top = place % columns * width, place // columns * height
        start, end = duration_s * place / count, duration_s * (place + 1) / count
        cues.append(f"{_clock(start)} --> {_clock(end)}\n{image}#xywh={left},{top},{width},{height}")
    return "\n\n".join(cues) + "\n"


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
