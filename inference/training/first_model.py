"""Makes `inference/first_model`, the model that ships with popreel: `python -m inference.training.first_model`.

Viewers of the simulator watch two rounds: first what the plain blend chooses, then what the ranker trained on that
chooses, each with a fifth of random videos mixed in. Deterministic: the same code and numpy give the same files.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np

from inference.feed.features import NAMES, SCHEMA
from inference.feed.model import FIRST_MODEL, FeedModel, ModelFile, Weights, save
from inference.feed.outcome import judge
from inference.feed.ranker import Ranker
from inference.feed.recommender import Pick
from inference.feed.watch_quantile import WatchQuantiles, default_quantiles
from inference.simulation.policies import Ours
from inference.simulation.run import RunPlan, run
from inference.simulation.world import Reaction, World
from inference.training.calibration import calibrated
from inference.training.gates import GateReport, check
from inference.training.impressions import ImpressionLog, Impressions, joined
from inference.training.perceptron import Perceptron, TrainingPlan, train
from inference.training.ranker_graph import to_onnx

SEED = 11
_PLAN = RunPlan(start_videos=1500, uploads=150, most_pages=15, waves=3)
_IGNORED = tuple(
    number for number, name in enumerate(NAMES) if name.startswith(("source_", "hour_")) or name == "same_region"
)
"""Nothing in the simulated world depends on these: a weight on them would be noise."""


def collect(model: FeedModel, *, viewers: int, seed: int) -> Impressions:
    """Impressions of one simulated world under `model`, a fifth of them random."""
    world = World(videos=_PLAN.start_videos + _PLAN.uploads, viewers=viewers, seed=seed, quantiles=model.quantiles)
    policy = Ours(model, viewers=viewers, blend_random=0.2)
    log = ImpressionLog()
    rows: dict[tuple[int, int], np.ndarray] = {}

    def on_page(viewer: int, picks: list[Pick], now_s: float) -> None:
        x = policy.recommender.inputs(policy.pools(now_s), policy.states[viewer], picks, now_s=now_s)
        rows.update({(viewer, pick.video_id): row for pick, row in zip(picks, x, strict=True)})

    def on_watch(viewer: int, pick: Pick, reaction: Reaction, now_s: float) -> None:
        duration_s = float(policy.columns.duration_s[policy.columns.row_of[pick.video_id]])
        outcome = judge(model.quantiles, duration_s=duration_s, watched_s=reaction.watched_s, liked=reaction.liked)
        log.add(
            rows.pop((viewer, pick.video_id)),
            quantile=model.quantiles.quantile(duration_s=duration_s, watched_s=reaction.watched_s),
            liked=reaction.liked,
            shared=reaction.shared,
            finished=outcome.finished,
            skipped=outcome.skipped,
            group=viewer,
        )

    run(world, policy, plan=_PLAN, seed=seed + 1, on_page=on_page, on_watch=on_watch)
    return log.impressions()


def make(*, viewers: int, seed: int) -> tuple[Perceptron, bytes, GateReport]:
    """Two rounds of collecting and training, calibrated on a third world, judged on a fourth."""
    plan = TrainingPlan(dropout_columns=_IGNORED, seed=seed)
    quantiles = default_quantiles()
    start = FeedModel(name="start", quantiles=quantiles)
    first = collect(start, viewers=viewers, seed=seed)
    between = FeedModel(name="between", quantiles=quantiles, ranker=Ranker(to_onnx(train(first, plan))))
    second = collect(between, viewers=viewers, seed=seed + 100)
    third = collect(between, viewers=viewers // 2, seed=seed + 300)
    model = calibrated(train(joined([first, second]), plan), third)
    graph = to_onnx(model)
    held_out = collect(between, viewers=max(viewers // 3, 60), seed=seed + 200)
    return model, graph, check(model, Ranker(graph), held_out)


def main() -> int:
    _model, graph, report = make(viewers=600, seed=SEED)
    print(msgspec.json.format(msgspec.json.encode(report)).decode())
    if report.failures:
        return 1
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FIRST_MODEL
    head = ModelFile(
        name=f"first-{SCHEMA[:8]}",
        feature_schema=SCHEMA,
        weights=Weights(),
        trained_on="Simulated viewers (inference/simulation): 1,200 in two worlds, 300 in a third for calibration.",
        worth=f"On a simulated world of its own: XGAUC {report.xgauc:.3f}. On real viewers: unknown, measure it. "
        "A sensible start until `popreel train` has real watches.",
        seed=SEED,
    )
    save(target, head, {"ranker.onnx": graph, "quantiles.npz": _npz(default_quantiles())})
    return 0


def _npz(quantiles: WatchQuantiles) -> bytes:
    file = BytesIO()
    np.savez(file, edges_s=quantiles.edges_s, watch_s=quantiles.watch_s)
    return file.getvalue()


if __name__ == "__main__":
    sys.exit(main())
