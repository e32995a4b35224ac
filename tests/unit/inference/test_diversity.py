"""Caps hold, every candidate keeps its right to appear once, and alike videos are spread."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.feed.diversity import DiversityPolicy, Group, diversify

POLICY = DiversityPolicy()


def run(scores: np.ndarray, vectors: np.ndarray, creators: np.ndarray, k: int, **shown: object) -> np.ndarray:
    none: dict[str, object] = {
        "shown_vectors": np.zeros((0, 256), np.float32),
        "shown_creators": [],
        "shown_sounds": [],
    }
    group = Group(creators=creators, sounds=np.zeros(len(creators), np.int64))
    return diversify(scores, vectors, group, k=k, policy=POLICY, **(none | shown))  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.integers(1, 50), st.integers(1, 12), st.integers(0, 10**6))
def test_places_are_distinct_and_never_fewer_than_possible(n: int, k: int, creators: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)
    order = run(rng.standard_normal(n).astype(np.float32), vectors, rng.integers(1, creators + 1, n), k)
    assert len(order) == min(n, k)
    assert len(set(order.tolist())) == len(order)


def test_one_creator_appears_once_in_a_window_also_across_pages() -> None:
    rng = np.random.default_rng(2)
    creators = np.repeat(np.arange(1, 13), 10)
    vectors = np.eye(256, dtype=np.float32)[:120]
    order = run(
        rng.standard_normal(120).astype(np.float32),
        vectors,
        creators,
        24,
        shown_vectors=vectors[:3],
        shown_creators=[1, 2, 3],
        shown_sounds=[0, 0, 0],
    )
    chain = [1, 2, 3, *creators[order].tolist()]
    for start in range(len(chain) - 7):
        assert len(set(chain[start : start + 8])) == 8


def test_a_near_duplicate_of_the_best_waits() -> None:
    vectors = np.eye(256, dtype=np.float32)[:5].copy()
    vectors[1] = vectors[0] * 0.999
    order = run(np.array([2.0, 1.9, 0.5, 0.4, 0.3], np.float32), vectors, np.arange(1, 6), 5).tolist()
    assert order[0] == 0
    assert order.index(1) == 4


def test_without_vectors_the_order_is_by_score() -> None:
    scores = np.array([0.1, 3.0, 2.0], np.float32)
    assert run(scores, np.zeros((3, 256), np.float32), np.arange(1, 4), 3).tolist() == [1, 2, 0]


@pytest.mark.parametrize("within", [0.15, 0.4])
def test_two_kinds_take_turns_however_small_the_cosines_of_a_kind_are(within: float) -> None:
    axes = np.eye(256, dtype=np.float32)
    kind = np.array([0] * 12 + [1] * 12 + [2, 3, 4])
    vectors = np.sqrt(within) * axes[kind] + np.sqrt(1 - within) * axes[5 + np.arange(27)]  # cosine of a kind: within
    scores = np.where(kind == 0, 1.0, np.where(kind == 1, 0.9, -2.0)).astype(np.float32)
    shown = {"shown_vectors": vectors[[0, 0, 0]], "shown_creators": [0] * 3, "shown_sounds": [0] * 3}
    order = run(scores, vectors, np.arange(1, 28), 16, **shown)
    assert kind[order[:2]].tolist() == [1, 1], "three of kind 0 were just seen"
    for start in range(8):
        window = kind[order[start : start + 8]].tolist()
        assert abs(window.count(0) - window.count(1)) <= 2
        assert window.count(0) + window.count(1) >= 7, "the others are much worse"
