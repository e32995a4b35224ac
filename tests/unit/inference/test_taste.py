"""The viewer's state: bounded, finite, mergeable, and a skip never turns it into its opposite."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.errors import NotFinite
from inference.feed import taste as tastes
from inference.feed.model import Weights
from inference.feed.outcome import Outcome
from inference.feed.taste import Taste, merge, rebuilt, updated

WEIGHTS = np.array(Weights().query, np.float32)
GOOD = Outcome(quantile=0.9, liking=1.0, dislike=0.0, finished=True, skipped=False)
BAD = Outcome(quantile=0.05, liking=0.0, dislike=1.0, finished=False, skipped=True)


def unit(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).standard_normal(256).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def lived(events: list[tuple[int, bool]], start: Taste | None = None, now_s: float = 1000.0) -> Taste:
    taste = start or Taste(space="s")
    for number, good in events:
        taste = updated(
            taste,
            vector=unit(number),
            outcome=GOOD if good else BAD,
            video_id=number + 1,
            creator_id=number % 5,
            now_s=now_s,
        )
    return taste


def test_without_likes_there_is_no_query() -> None:
    assert Taste(space="s").query(WEIGHTS) is None
    assert lived([(n, False) for n in range(20)]).query(WEIGHTS) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60))
def test_any_history_gives_a_finite_unit_query_that_agrees_with_the_likes(events: list[tuple[int, bool]]) -> None:
    taste = lived(events)
    assert np.isfinite(taste.sums).all()
    query = taste.query(WEIGHTS)
    if query is not None:
        assert np.linalg.norm(query) == pytest.approx(1, abs=1e-4)
        likes = sum(unit(n) for n, good in events if good)
        assert query @ (likes / np.linalg.norm(likes)) > 0


def test_fifty_skips_do_not_turn_an_interest_around() -> None:
    loved = unit(1)
    taste = lived([(1, True)] * 5)
    for _ in range(50):
        taste = updated(taste, vector=loved, outcome=BAD, video_id=9, creator_id=1, now_s=1000)
    query = taste.query(WEIGHTS)
    assert query is not None
    assert query @ loved > 0


def test_a_new_interest_leads_within_ten_watches_and_the_old_one_is_not_forgotten() -> None:
    taste = lived([(1, True)] * 60)
    taste = lived([(2, True)] * 10, taste)
    query = taste.query(WEIGHTS)
    assert query is not None
    assert float(query @ unit(2)) > float(query @ unit(1)) > 0.3


def test_the_stored_form_is_about_4_kb_and_survives_a_round_trip() -> None:
    taste = lived([(n, n % 3 > 0) for n in range(80)])
    raw = tastes.encode(taste)
    assert len(raw) < 4600
    again = tastes.decode(raw)
    assert again is not None
    np.testing.assert_allclose(again.sums, taste.sums, atol=0.02)
    np.testing.assert_array_equal(again.recent_ids, taste.recent_ids)
    assert again.creators == taste.creators
    assert len(taste.recent_ids) <= tastes.RECENT


@given(st.binary(max_size=300))
def test_damaged_bytes_are_a_new_viewer_not_an_error(raw: bytes) -> None:
    assert tastes.decode(raw) is None


def test_a_vector_with_nan_is_refused() -> None:
    with pytest.raises(NotFinite):
        updated(
            Taste(space="s"), vector=np.full(256, np.nan, np.float32), outcome=GOOD, video_id=1, creator_id=1, now_s=1
        )


def test_two_pops_states_merge_into_what_one_would_have() -> None:
    first, second = [(n, True) for n in range(10)], [(n, True) for n in range(10, 16)]
    whole = lived(second, lived(first, now_s=1000), now_s=1000)
    merged = merge(lived(first, now_s=1000), lived(second, now_s=1001))
    np.testing.assert_allclose(merged.sums, whole.sums, atol=1e-3)
    assert merged.events == whole.events
    np.testing.assert_array_equal(merged.recent_ids, whole.recent_ids)


def test_a_mood_fades_overnight_and_a_habit_stays() -> None:
    taste = lived([(1, True)] * 10, now_s=1000)
    later = updated(taste, vector=None, outcome=GOOD, video_id=3, creator_id=1, now_s=1000 + 86_400)
    kept = np.linalg.norm(later.sums, axis=1) / np.linalg.norm(taste.sums, axis=1).clip(1e-9)
    assert kept[0] < 0.1
    assert kept[3] > 0.95


def test_a_new_vector_space_keeps_what_the_viewer_liked_last() -> None:
    taste = lived([(n, True) for n in range(12)])
    turned = {n: -unit(n)[::-1] for n in range(12)}  # the same videos in other coordinates
    vectors = np.stack([turned[int(v) - 1] for v in taste.recent_ids])
    moved = rebuilt(taste, space="t", vectors=vectors, known=np.ones(12, bool))
    query, before = moved.query(WEIGHTS), taste.query(WEIGHTS)
    assert query is not None
    assert before is not None
    np.testing.assert_allclose(query, -before[::-1], atol=1e-3)
    assert moved.events == taste.events
    nothing = rebuilt(taste, space="t", vectors=np.zeros((12, 256), np.float32), known=np.zeros(12, bool))
    assert nothing.query(WEIGHTS) is None
