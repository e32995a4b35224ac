"""`python -m inference.simulation.report [--seeds N] [--viewers N] [--html FILE]`: policies over several worlds, with
intervals. `--weight NAME=VALUE` compares the shipped model with itself under another weight instead.

Every policy meets the same worlds and viewers, so differences are paired by seed. Prints tables; `--html` draws them.
Weights are compared in worlds of their own: those of the report stay unseen by any choice.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.feed.exploration import ExplorationPolicy
from inference.feed.model import FIRST_MODEL, FeedModel, load, with_weight
from inference.feed.recommender import Policy
from inference.feed.watch_quantile import default_quantiles
from inference.simulation.charts import Interval, Table, as_html
from inference.simulation.policies import FeedPolicy, OneAverage, Ours, Shared
from inference.simulation.run import AFTER, Figures, RunPlan, run
from inference.simulation.world import World

FIRST_VERSION, SHIPPED = "first version", "ours as shipped"
CHOICE_SEED, REPORT_SEED = 8000, 9000
"""Of the first world that choices are made in, and of the first that is reported; training uses neither."""
_T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Student's t for n seeds (n - 1 degrees of freedom)."""


Policies = dict[str, Callable[[], FeedPolicy]]


def policies(viewers: int) -> Policies:
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


def weighed(viewers: int, changes: list[str]) -> Policies:
    """The shipped model, and as "ours" the same with other weights (NAME=VALUE each). Raises ValueError."""
    model = load(FIRST_MODEL)
    changed = replace(model, weights=reduce(with_weight, changes, model.weights))
    return {SHIPPED: lambda: Ours(model, viewers=viewers), "ours": lambda: Ours(changed, viewers=viewers)}


Found = dict[str, list[Figures]]
"""Policy -> figures per world."""
NUMBERS = tuple(field.name for field in fields(Figures) if field.name != "cold_start")


def play(policies: Policies, *, seeds: range, viewers: int) -> Found:
    """Every policy in the world of each seed; about ten seconds of CPU each."""
    found: Found = {}
    plan = RunPlan(start_age_days=2.1)
    for seed in seeds:
        world = World(
            videos=plan.start_videos + plan.uploads, viewers=viewers, seed=seed, quantiles=default_quantiles()
        )
        for name, make in policies.items():
            found.setdefault(name, []).append(run(world, make(), plan=plan, seed=seed + 1))
            print(f"world {seed}: {name}", file=sys.stderr, flush=True)
    return found


def report(*, seeds: int, viewers: int) -> Found:
    """Every policy in worlds that neither training nor any choice used."""
    return play(policies(viewers), seeds=range(REPORT_SEED, REPORT_SEED + seeds), viewers=viewers)


def intervals(found: Found) -> Table:
    """Policy -> figure -> mean and interval over worlds."""
    return {name: _intervals(figures) for name, figures in found.items()}


def cold_start(found: Found) -> Table:
    """Policy -> number of videos a viewer has watched (`AFTER`) -> satisfaction from then on, up to the next number."""
    return {
        name: {str(after): _interval(values) for after, values in zip(AFTER, _by_number(figures), strict=True)}
        for name, figures in found.items()
    }


def _by_number(figures: list[Figures]) -> NDArray[np.float64]:
    """(len(AFTER), worlds)."""
    return np.array([each.cold_start for each in figures]).T


def ahead_of(found: Found, peer: str) -> dict[str, Interval]:
    """Figure -> ours minus the peer's, paired by world."""
    pairs = list(zip(found["ours"], found[peer], strict=True))
    return {
        name: _interval(np.array([getattr(mine, name) - getattr(other, name) for mine, other in pairs]))
        for name in NUMBERS
    }


def _intervals(figures: list[Figures]) -> dict[str, Interval]:
    return {name: _interval(np.array([getattr(each, name) for each in figures])) for name in NUMBERS}


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


def report_as_text(found: Found) -> str:
    """Both tables, and what is ahead of the first version by how much."""
    satisfaction = f"satisfaction after so many videos of a viewer\n{as_text(cold_start(found))}"
    return "\n\n".join((as_text(intervals(found)), satisfaction, differences_as_text(found, FIRST_VERSION)))


def report_as_html(found: Found) -> str:
    return as_html(intervals(found), cold_start(found))


def differences_as_text(found: Found, peer: str) -> str:
    cells = (f"{name} {each.mean:+.3f} ±{each.half_width:.3f}" for name, each in ahead_of(found, peer).items())
    return f"ours - {peer}: " + ", ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--viewers", type=int, default=600)
    parser.add_argument("--html", type=Path)
    parser.add_argument("--weight", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    if options.weight:
        try:
            ours = weighed(options.viewers, options.weight)
        except ValueError as err:
            parser.error(str(err))
        seeds = range(CHOICE_SEED, CHOICE_SEED + options.seeds)
        print(differences_as_text(play(ours, seeds=seeds, viewers=options.viewers), SHIPPED))
        return
    found = report(seeds=options.seeds, viewers=options.viewers)
    print(report_as_text(found))
    table = intervals(found)
    print(json.dumps({policy: {n: asdict(i) for n, i in figures.items()} for policy, figures in table.items()}))
    if options.html is not None:
        options.html.write_text(report_as_html(found), "utf-8")


if __name__ == "__main__":
    main()
