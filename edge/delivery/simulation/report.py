"""Policies side by side: the table `popreel cache-sim` prints."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from edge.delivery.simulation.belady import replay_belady
from edge.delivery.simulation.peer import PEERS, load_peer, replay_peer
from edge.delivery.simulation.replay import POLICIES, MissRatios, replay
from edge.delivery.simulation.trace import Use, distinct_bytes, read_trace, short_video_trace

SHARES = (0.01, 0.05, 0.20)


class Row(NamedTuple):
    share: float
    capacity_bytes: int
    policy: str
    ratios: MissRatios


def cache_sim(uses: Sequence[Use], *, shares: Sequence[float] = SHARES, with_peer: bool = True) -> Iterator[Row]:
    """Replay `uses` through every policy at cache sizes that are `shares` of all distinct bytes. CPU-bound."""
    footprint = distinct_bytes(uses)
    for share in shares:
        capacity = max(1, int(footprint * share))
        for name, make in POLICIES.items():
            yield Row(share, capacity, name, replay(uses, make(capacity)))
        yield Row(share, capacity, "belady", replay_belady(uses, capacity))
        if with_peer and (module := load_peer()) is not None:
            for name, policy in PEERS.items():
                yield Row(share, capacity, name, replay_peer(module, policy, uses, capacity))


def render(rows: Iterator[Row]) -> Iterator[str]:
    """Lines of a Markdown table, as the rows come."""
    yield "| cache | policy | object miss | byte miss | prefix miss |"
    yield "| --- | --- | --- | --- | --- |"
    for row in rows:
        ratios = row.ratios
        figures = (ratios.object_miss_ratio, ratios.byte_miss_ratio, ratios.prefix_miss_ratio)
        yield f"| {row.share:.0%} | {row.policy} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |"


def run_cache_sim(
    trace: Path | None,
    *,
    requests: int = 400_000,
    shares: Sequence[float] = SHARES,
    write: Callable[[str], None] = print,
) -> None:
    """`popreel cache-sim [TRACE]`: without a file, the synthetic short-video trace. Raises BadInput, OSError."""
    uses = list(read_trace(trace) if trace is not None else short_video_trace(requests=requests))
    write(f"{len(uses)} uses, {distinct_bytes(uses) / 1e9:.2f} GB distinct")
    for line in render(cache_sim(uses, shares=shares)):
        write(line)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m edge.delivery.simulation.report", description=__doc__)
    parser.add_argument("trace", type=Path, nargs="?", help="lines of time,key,size; without: a synthetic trace")
    parser.add_argument("--requests", type=int, default=400_000)
    options = parser.parse_args()
    run_cache_sim(options.trace, requests=options.requests)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
