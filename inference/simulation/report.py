"""`python -m inference.simulation.report [--seeds N] [--viewers N] [--html FILE]`: policies over several worlds, with
intervals.

Every policy meets the same worlds and viewers, so differences are paired by seed. Prints a table; `--html` writes one
with bars.
"""

from __future__ import annotations

import argparse
import html
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from inference.feed.exploration import ExplorationPolicy
from inference.feed.model import FIRST_MODEL, FeedModel, load
from inference.feed.recommender import Policy
from inference.feed.watch_quantile import default_quantiles
from inference.simulation.policies import FeedPolicy, OneAverage, Ours, Shared
from inference.simulation.run import Figures, RunPlan, run
from inference.simulation.world import World

_T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Student's t for n seeds (n - 1 degrees of freedom)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    mean: float
    half_width: float
    """Of the 95 % interval over seeds; infinite for one seed."""


def policies(viewers: int) -> dict[str, Callable[[], FeedPolicy]]:
    model = load(FIRST_MODEL)
    return {
        "random": lambda: Shared(viewers=viewers, random=True),
        "popular": lambda: Shared(viewers=viewers, random=False),
        "first version": lambda: OneAverage(viewers=viewers),
        "ours without ranker": lambda: Ours(FeedModel(name="blend"), viewers=viewers),
        "ours without exploration": lambda: Ours(
            model, viewers=viewers, policy=Policy(exploration=ExplorationPolicy(every=0))
        ),
        "ours": lambda: Ours(model, viewers=viewers),
    }


def compare(*, seeds: int, viewers: int, plan: RunPlan) -> dict[str, dict[str, Interval]]:
    """Policy -> figure -> mean and interval over worlds that training never used (seeds from 9000)."""
    found: dict[str, list[Figures]] = {}
    for seed in range(9000, 9000 + seeds):
        world = World(
            videos=plan.start_videos + plan.uploads, viewers=viewers, seed=seed, quantiles=default_quantiles()
        )
        for name, make in policies(viewers).items():
            found.setdefault(name, []).append(run(world, make(), plan=plan, seed=seed + 1))
            print(f"world {seed}: {name}", file=sys.stderr, flush=True)
    return {name: _intervals(figures) for name, figures in found.items()}


def _intervals(figures: list[Figures]) -> dict[str, Interval]:
    table = {name: np.array([asdict(each)[name] for each in figures]) for name in asdict(figures[0])}
    n = len(figures)
    return {
        name: Interval(
            mean=float(values.mean()),
            half_width=_T_95.get(n, 1.96) * float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf,
        )
        for name, values in table.items()
    }


def as_text(table: dict[str, dict[str, Interval]]) -> str:
    names = list(next(iter(table.values())))
    lines = [f"{'policy':26}" + "".join(f"{name:>18}" for name in names)]
    for policy, figures in table.items():
        cells = (f"{figures[name].mean:.3f} ±{figures[name].half_width:.3f}" for name in names)
        lines.append(f"{policy:26}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def as_html(table: dict[str, dict[str, Interval]]) -> str:
    """One section per figure with a bar per policy; no script, no network."""
    parts = [
        "<!doctype html><meta charset=utf-8><title>Policies</title><style>body{font:14px sans-serif;max-width:60em}"
    ]
    parts.append(".b{background:#4a7;height:1em;display:inline-block}td{padding:.2em .6em}</style><h1>Policies</h1>")
    for name in next(iter(table.values())):
        top = max(*(figures[name].mean for figures in table.values()), 1e-09)
        parts.append(f"<h2>{html.escape(name)}</h2><table>")
        for policy, figures in table.items():
            value = figures[name]
            width = max(value.mean / top, 0) * 300
            parts.append(
                f"<tr><td>{html.escape(policy)}<td><span class=b style='width:{width:.0f}px'></span>"
                f"<td>{value.mean:.3f} ± {value.half_width:.3f}"
            )
        parts.append("</table>")
    return "".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--viewers", type=int, default=600)
    parser.add_argument("--html", type=Path)
    options = parser.parse_args()
    table = compare(seeds=options.seeds, viewers=options.viewers, plan=RunPlan(start_age_days=2.1))
    print(as_text(table))
    print(json.dumps({policy: {n: asdict(i) for n, i in figures.items()} for policy, figures in table.items()}))
    if options.html is not None:
        options.html.write_text(as_html(table))


if __name__ == "__main__":
    main()
