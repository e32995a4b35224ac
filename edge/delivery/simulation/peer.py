"""libCacheSim as a second opinion, where it is installed (`pip install libcachesim`, GPL: no dependency of ours)."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from edge.delivery.simulation.replay import Counter, MissRatios
from edge.delivery.simulation.trace import Use

PEERS = {
    "libcachesim lru": "LRU",
    "libcachesim s3-fifo": "S3FIFO",
    "libcachesim gdsf": "GDSF",
    "libcachesim sieve": "Sieve",
}


def load_peer() -> Any | None:
    """The module, None when it is not installed."""
    try:
        return importlib.import_module("libcachesim")
    except ImportError:
        return None


def replay_peer(module: Any, policy: str, uses: Iterable[Use], capacity: int) -> MissRatios:
    """Miss ratios of libCacheSim's policy (a value of PEERS) on the same trace."""
    cache = getattr(module, policy)(cache_size=capacity)
    numbers: dict[str, int] = {}
    counter = Counter()
    for use in uses:
        request = module.Request()
        request.obj_id = numbers.setdefault(use.key, len(numbers) + 1)
        request.obj_size = use.size
        counter.note(use, missed=not cache.get(request))
    return counter.ratios()
