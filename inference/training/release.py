"""A new release of the feed's model from an event log: fit, judge, and write only what passes the gates.

    python -m inference.training.release --catalogue items.ndjson --events events.ndjson --out MODEL_DIR [--current
    NAME]

The time line of the log: item-to-item is fitted on the first half, so that its scores are honest inputs in the
second; the ranker learns on 50-75 %, its heads are calibrated on 75-85 %, and the gates look at the last 15 %. Then
item-to-item is fitted on all, and so is the learned space if the one of the first half proved better than content on
the second. The release is a folder `model-<digest>` under MODEL_DIR; a PoP serves it as an
experiment's arm (canary) or as `[edge.feed] model`.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np

from foundation.errors import PopreelError
from inference.feed.features import NAMES, SCHEMA
from inference.feed.item_to_item import ItemToItem, no_item_to_item
from inference.feed.model import FIRST_MODEL, FeedModel, ModelFile, Weights, load, save
from inference.feed.ranker import Ranker
from inference.feed.space import pack
from inference.feed.watch_quantile import WatchQuantiles, fit
from inference.training.calibration import calibrated
from inference.training.event_log import EventLog, LogReplay, liked_pairs, read_log
from inference.training.gates import GateReport, check
from inference.training.impressions import ImpressionLog, Impressions
from inference.training.item_to_item import fit_ease, neighbours
from inference.training.learned_space import SpaceReport, choose_plan, fit_space, judge_space
from inference.training.perceptron import TrainingPlan, train
from inference.training.ranker_graph import to_onnx
from inference.training.two_tower import TowerPlan

LEAST_EVENTS = 2000
"""Below this a release would be noise."""
_MOST_EASE_ITEMS = 4000
_EASE_STRENGTH = 400.0
_IGNORED = tuple(number for number, name in enumerate(NAMES) if name.startswith("source_"))
"""Why a video was shown is the old policy's decision, not the viewer's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """`directory` is None when the gates refused it."""

    name: str
    report: GateReport
    space: SpaceReport | None
    """How a learned space did against content; None: too little to learn one from. It ships only when it is ahead."""
    directory: Path | None


def make_release(log: EventLog, *, out: Path, current: FeedModel, space: str, seed: int = 1) -> Release:
    """Deterministic by log and seed. Raises PopreelError when the log is too small. About 0.3 ms an event."""
    if len(log.events) < LEAST_EVENTS:
        raise PopreelError(f"{len(log.events)} usable events: a release needs {LEAST_EVENTS}")
    quantiles = fit(*log.durations_and_watches(0.85))
    half = _item_to_item(log, 0.5, quantiles)
    base = FeedModel(name="training", quantiles=quantiles, item_to_item=half)
    plan = choose_plan(log, base, content=space, seed=seed)
    base, space_report = _with_space(log, base, space, plan)
    learn, tune, judge = _impressions(log, base, space)
    net = calibrated(train(learn, TrainingPlan(dropout_columns=_IGNORED, seed=seed, batch=256)), tune)
    graph = to_onnx(net)
    report = check(net, Ranker(graph), judge, before=current.ranker)
    files = {"ranker.onnx": graph, "quantiles.npz": _pack(edges_s=quantiles.edges_s, watch_s=quantiles.watch_s)}
    if base.space is not None:
        whole_space = fit_space(log, 1.0, quantiles, content=space, plan=plan)
        if whole_space is not None:
            files["space.npz"] = pack(whole_space)
    whole = _item_to_item(log, 1.0, quantiles)
    if len(whole.video_ids):
        files["item_to_item.npz"] = _pack(
            video_ids=whole.video_ids, neighbour_ids=whole.neighbour_ids, weights=whole.weights
        )
    name = f"model-{_digest(files)}"
    if report.failures:
        return Release(name=name, report=report, space=space_report, directory=None)
    save(out / name, _head(name, log, report, space_report, seed), files)
    (out / name / "gates.json").write_bytes(msgspec.json.format(msgspec.json.encode([report, space_report])))
    return Release(name=name, report=report, space=space_report, directory=out / name)


def _with_space(log: EventLog, model: FeedModel, content: str, plan: TowerPlan) -> tuple[FeedModel, SpaceReport | None]:
    """The model in a space learned from the first half, if that ranks the second half better than content does."""
    learned = fit_space(log, 0.5, model.quantiles, content=content, plan=plan)
    if learned is None:
        return model, None
    candidate = replace(model, space=learned)
    report = judge_space(log, candidate, content=content, start=0.5)
    return (candidate if report.earns_its_place else model), report


def _impressions(log: EventLog, model: FeedModel, space: str) -> tuple[Impressions, Impressions, Impressions]:
    replay = LogReplay(log, model=model, space=space)
    replay.play(log.share(0, 0.5), None)
    parts = []
    for start, end in ((0.5, 0.75), (0.75, 0.85), (0.85, 1.0)):
        collected = ImpressionLog()
        replay.play(log.share(start, end), collected)
        parts.append(collected.impressions())
    return parts[0], parts[1], parts[2]


def _item_to_item(log: EventLog, end: float, quantiles: WatchQuantiles) -> ItemToItem:
    viewers, video_ids = liked_pairs(log, end, quantiles)
    ids, counts = np.unique(video_ids, return_counts=True)
    ids = np.sort(ids[np.argsort(-counts, kind="stable")][:_MOST_EASE_ITEMS])
    if len(ids) < 50:
        return no_item_to_item()
    at = np.minimum(np.searchsorted(ids, video_ids), len(ids) - 1)
    kept = ids[at] == video_ids
    return neighbours(fit_ease(viewers[kept], at[kept], n_items=len(ids), strength=_EASE_STRENGTH), ids)


def _head(name: str, log: EventLog, report: GateReport, space: SpaceReport | None, seed: int) -> ModelFile:
    first, last = log.events[0].received_at_ms, log.events[-1].received_at_ms
    return ModelFile(
        name=name,
        feature_schema=SCHEMA,
        weights=Weights(),
        trained_on=f"{len(log.events)} watch events of {len(log.items)} videos, {first} to {last} (unix ms).",
        worth=f"On the last 15 % of them: XGAUC {report.xgauc:.4f} (before: {report.xgauc_before}). "
        + _worth_of(space),
        seed=seed,
    )


def _worth_of(space: SpaceReport | None) -> str:
    if space is None:
        return "In the content space: too few likes to learn one from."
    used = "In a learned space" if space.earns_its_place else "In the content space"
    return (
        f"{used}: NDCG@10 of the next like {space.learned:.4f} learned, {space.content:.4f} content, difference "
        f"[{space.low:.4f}, {space.high:.4f}] over {space.viewers} viewers of the second half."
    )


def _pack(**arrays: np.ndarray) -> bytes:
    file = BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _digest(files: dict[str, bytes]) -> str:
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(hashlib.sha256(files[name]).digest())
    return total.hexdigest()[:12]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--current", default="", help="release in use; default: the one shipped with popreel")
    parser.add_argument("--space", default="content-1")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    try:
        current = load(given.out / given.current if given.current else FIRST_MODEL)
        log = read_log(catalogue=given.catalogue, events=given.events)
        release = make_release(log, out=given.out, current=current, space=given.space, seed=given.seed)
    except PopreelError as err:
        print(f"{err.title}: {err.detail}", file=sys.stderr)
        return 1
    print(msgspec.json.format(msgspec.json.encode(release.report)).decode())
    print(f"released {release.directory}" if release.directory else f"{release.name} is refused", file=sys.stderr)
    return 0 if release.directory else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
