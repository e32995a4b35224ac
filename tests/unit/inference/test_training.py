"""Training is deterministic, learns what is there, and the released file says the same as its twin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference.errors import ModelDamaged, ModelMissing
from inference.feed.features import SCHEMA, WIDTH
from inference.feed.model import FIRST_MODEL, ModelFile, Weights, load, save
from inference.feed.ranker import Ranker
from inference.feed.taste import Taste
from inference.training.calibration import calibrated, fit_platt
from inference.training.factors import FactorPlan, fit_item_factors
from inference.training.gates import calibration_error, check, grouped_auc
from inference.training.impressions import Impressions
from inference.training.item_to_item import fit_ease, neighbours
from inference.training.perceptron import TrainingPlan, train
from inference.training.ranker_graph import to_onnx


@pytest.fixture(scope="module")
def impressions() -> Impressions:
    """Interest rises with feature 6, liking with feature 9."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((6000, WIDTH)).astype(np.float32)
    quantile = 1 / (1 + np.exp(-1.5 * x[:, 6] - rng.standard_normal(6000)))
    heads = rng.random((6000, 4)) < (1 / (1 + np.exp(2 - x[:, 9])))[:, None]
    return Impressions(
        x=x, quantile=quantile.astype(np.float32), heads=heads.astype(np.float32), group=rng.integers(0, 50, 6000)
    )


def test_a_trained_ranker_passes_the_gates_and_its_file_agrees_with_it(impressions: Impressions) -> None:
    first = impressions.part(np.arange(6000) < 4500)
    model = calibrated(train(first, TrainingPlan(epochs=6, batch=128)), first)
    report = check(model, Ranker(to_onnx(model)), impressions.part(np.arange(6000) >= 4500))
    assert report.xgauc > 0.75
    assert report.onnx_difference < 1e-4
    assert not [failure for failure in report.failures if "ms" not in failure and "calibration" not in failure]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(impressions: Impressions) -> None:
    plan = TrainingPlan(epochs=1)
    one, two = train(impressions, plan), train(impressions, plan)
    other = train(impressions, TrainingPlan(epochs=1, seed=2))
    np.testing.assert_array_equal(one.weights[0], two.weights[0])
    assert not np.array_equal(one.weights[0], other.weights[0])


def test_a_ranker_worse_than_the_one_in_use_does_not_ship(impressions: Impressions) -> None:
    good = train(impressions, TrainingPlan(epochs=4, batch=128))
    blind = train(impressions, TrainingPlan(epochs=1, dropout_columns=(6, 9)))
    report = check(blind, Ranker(to_onnx(blind)), impressions, before=Ranker(to_onnx(good)))
    assert any("below the model in use" in failure for failure in report.failures)


def test_grouped_auc_compares_only_within_a_viewer() -> None:
    truth = np.array([0, 1, 0, 1], np.float32)
    score = np.array([0.0, 0.1, 0.8, 0.9], np.float32)
    group = np.array([1, 1, 2, 2])
    assert grouped_auc(score, truth, group) == 1.0
    assert grouped_auc(-score, truth, group) == 0.0


def test_platt_repairs_overconfidence() -> None:
    rng = np.random.default_rng(3)
    logit = rng.standard_normal(20_000).astype(np.float32)
    happened = (rng.random(20_000) < 1 / (1 + np.exp(-logit))).astype(np.float32)
    slope, offset = fit_platt(3 * logit - 1, happened)
    chance = 1 / (1 + np.exp(-(slope * (3 * logit - 1) + offset)))
    assert calibration_error(chance.astype(np.float32), happened) < 0.02


def test_ease_and_factors_find_what_is_watched_together() -> None:
    rng = np.random.default_rng(4)
    viewers = np.repeat(np.arange(200), 6)
    items = (viewers % 2) * 10 + rng.integers(0, 10, len(viewers))
    weights = fit_ease(viewers, items, n_items=20, strength=10.0)
    assert weights[0, 1:10].mean() > weights[0, 10:].mean() + 0.01
    factors = fit_item_factors(viewers, items, plan=FactorPlan(dimensions=8, iterations=5))
    unit = factors / np.linalg.norm(factors, axis=1)[:, None]
    assert unit[0] @ unit[5] > unit[0] @ unit[15] + 0.3

    ids = np.arange(101, 121)
    sparse = neighbours(weights, ids, keep=5)
    taste = Taste(space="s", recent_ids=np.array([101, 999]), recent_weights=np.ones(2, np.float32))
    near, scores = sparse.scores(taste)
    assert set(near.tolist()) <= set(range(101, 111))
    assert np.isfinite(scores).all()


def test_the_shipped_model_loads_and_is_small() -> None:
    model = load(FIRST_MODEL)
    assert model.ranker is not None
    assert sum(path.stat().st_size for path in FIRST_MODEL.iterdir()) < 300_000


def test_a_changed_file_or_another_schema_is_refused(tmp_path: Path, impressions: Impressions) -> None:
    graph = to_onnx(train(impressions, TrainingPlan(epochs=1)))
    head = ModelFile(name="m", feature_schema=SCHEMA, weights=Weights(), trained_on="t", worth="w", seed=1)
    save(tmp_path / "m", head, {"ranker.onnx": graph})
    assert load(tmp_path / "m").ranker is not None
    (tmp_path / "m" / "ranker.onnx").write_bytes(graph[:-1])
    with pytest.raises(ModelDamaged, match="checksum"):
        load(tmp_path / "m")
    with pytest.raises(ModelDamaged, match="train it again"):
        Ranker(graph.replace(SCHEMA.encode(), b"0" * 16))
    with pytest.raises(ModelMissing):
        load(tmp_path / "absent")
