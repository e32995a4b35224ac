"""Sessions: any interleaving of pages, repeats and re-ranking hands out each place once, in order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.feed import session as sessions
from edge.feed.errors import BadCursor
from edge.feed.impression import make_token, read_token
from edge.feed.session import MAX_REPLAYED, Session, cached_first, make_cursor, read_cursor
from inference.feed.recommender import Pick
from inference.feed.sources import Source


def pick(video_id: int) -> Pick:
    return Pick(video_id=video_id, source=Source.TASTE, score=0.5)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 30), max_size=30))
def test_places_are_replayed_as_they_were_handed_out(counts: list[int]) -> None:
    session, handed = Session(id="s"), list[int]()
    for count in counts:
        fresh = tuple(pick(len(handed) + 1 + n) for n in range(count))
        before = session.position
        session = sessions.decode(sessions.encode(session.handed_out(fresh, tail=()))) or session
        handed += [p.video_id for p in fresh]
        assert session.position == len(handed)
        replayed = [p.video_id for p in session.replayed(before, count)]
        assert replayed == handed[before : before + count]
    assert session.served_ids.tolist() == handed
    assert len(session.served) <= MAX_REPLAYED


def test_a_cursor_survives_a_round_trip_and_nothing_else_is_one() -> None:
    assert read_cursor(make_cursor("ab12", 77)) == ("ab12", 77)


@given(st.text(max_size=80))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        session_id, position = read_cursor(text)
    except BadCursor:
        return
    assert session_id
    assert position >= 0


def test_the_cache_breaks_near_ties_by_one_place_and_nothing_else() -> None:
    scores = [1.0, 0.98, 0.97, 0.5, 0.49]
    picks = tuple(Pick(video_id=n, source=Source.TASTE, score=score) for n, score in enumerate(scores))
    cached = cached_first(picks, lambda pick: pick.video_id in (2, 3, 4), head=5)
    assert [p.video_id for p in cached] == [0, 2, 1, 3, 4]
    trial = (picks[0], Pick(video_id=9, source=Source.EXPLORE, score=1.0), *picks[1:])
    assert cached_first(trial, lambda pick: pick.video_id == 9, head=5) == trial


def test_bytes_of_another_version_are_a_new_session() -> None:
    assert sessions.decode(b"\x93\x01\xa1x\x90") is None
    assert sessions.decode(b"garbage") is None


def test_an_impression_token_carries_what_evaluation_needs() -> None:
    token = make_token(
        Pick(video_id=2**62, source=Source.EXPLORE, score=1.25, propensity=3.2e-6),
        place=12,
        model="first-1",
        arm="exp=b",
        served_ms=1_790_000_000_000,
    )
    assert len(token) < 200
    read = read_token(token)
    assert read is not None
    assert (read.video_id, read.source, read.place, read.propensity, read.arm) == (2**62, 7, 12, 3.2e-6, "exp=b")


@pytest.mark.parametrize("token", [None, "", "x", "AAAA", "é" * 9, "kwE" * 40])
def test_a_foreign_token_is_no_attribution_not_an_error(token: str | None) -> None:
    assert read_token(token) is None
