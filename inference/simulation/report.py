"""`python -m inference.simulation.report [--seeds N] [--viewers N] [--html FILE]`: policies over several worlds, with
intervals.

Every policy meets the same worlds and viewers, so differences are paired by seed. Prints a table; `--html` draws it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.feed.exploration import ExplorationPolicy
from inference.feed.model import FIRST_MODEL, FeedModel, load
from inference.feed.recommender import Policy
from inference.feed.watch_quantile import default_quantiles
from inference.simulation.charts import Interval, Table, as_html
from inference.simulation.policies import FeedPolicy, OneAverage, Ours, Shared
from inference.simulation.run import Figures, RunPlan, run
from inference.simulation.world import World

FIRST_VERSION = "first version"
_T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Student's t for n seeds (n - 1 degrees of freedom)."""


def policies(viewers: int) -> dict[str, Callable[[], FeedPolicy]]:
    model = load(FIRST_MODEL)
    return {
        "random": lambda: Shared(viewers=viewers, random=True),
        "popular": lambda: Shared(viewers=viewers, random=False),
        FIRST_VERSION: lambda: OneAverage(viewers=viewers),
        "ours without ranker": lambda: Ours(FeedModel(name="blend"), viewers=viewers),
        "ours without exploration": lambda: Ours(
            model, viewers=viewers, policy=Policy(exploration=ExplorationPolicy(every=0))
        ),
        "ours": lambda: Ours(model, viewers=viewers),
    }


Found = dict[str, list[Figures]]
"""Policy -> figures per world."""


def play(*, seeds: int, viewers: int, plan: RunPlan) -> Found:
    """Every policy in worlds that training never used (seeds from 9000)."""
    found: Found = {}
    for seed in range(9000, 9000 + seeds):
        world = World(
            videos=plan.start_videos + plan.uploads, viewers=viewers, seed=seed, quantiles=default_quantiles()
        )
        for name, make in policies(viewers).items():
            found.setdefault(name, []).append(run(world, make(), plan=plan, seed=seed + 1))
            print(f"world {seed}: {name}", file=sys.stderr, flush=True)
    return found


def intervals(found: Found) -> Table:
    """Policy -> figure -> mean and interval over worlds."""
    return {name: _intervals(figures) for name, figures in found.items()}


def ahead_of(found: Found, peer: str) -> dict[str, Interval]:
    """Figure -> ours minus the peer's, paired by world."""
    ours = [asdict(each) for each in found["ours"]]
    theirs = [asdict(each) for each in found[peer]]
    pairs = list(zip(ours, theirs, strict=True))
    return {name: _interval(np.array([mine[name] - other[name] for mine, other in pairs])) for name in ours[0]}


def _intervals(figures: list[Figures]) -> dict[str, Interval]:
    return {name: _interval(np.array([asdict(each)[name] for each in figures])) for name in asdict(figures[0])}


def _interval(values: NDArray[np.float64]) -> Interval:
    n = len(values)
    half = _T_95.get(n, 1.96) * float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    return Interval(mean=float(values.mean()), half_width=half)


def as_text(table: Table) -> str:
    names = list(next(iter(table.values())))
    lines = [f"{'policy':26}" + "".join(f"{name:>18}" for name in names)]
    for policy, figures in table.items():
        cells = (f"{figures[name].mean:.3f} ±{figures[name].half_width:.3f}" for name in names)
        lines.append(f"{policy:26}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def differences_as_text(found: Found, peer: str) -> str:
    cells = (f"{name} {each.mean:+.3f} ±{each.half_width:.3f}" for name, each in ahead_of(found, peer).items())
    return f"ours - {peer}: " + ", ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--viewers", type=int, default=600)
    parser.add_argument("--html", type=Path)
    options = parser.parse_args()
    found = play(seeds=options.seeds, viewers=options.viewers, plan=RunPlan(start_age_days=2.1))
    table = intervals(found)
    print(as_text(table))
    print(differences_as_text(found, FIRST_VERSION))
    print(json.dumps({policy: {n: asdict(i) for n, i in figures.items()} for policy, figures in table.items()}))
    if options.html is not None:
        options.html.write_text(as_html(table), "utf-8")


if __name__ == "__main__":
    main()
