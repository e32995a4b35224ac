from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from packager.encoder.gallery import evenly, preview_places
from packager.encoder.pictures import on_grid

TIMES = st.lists(st.floats(-1, 20, allow_nan=False), min_size=1, max_size=80, unique=True).map(sorted)


@given(TIMES, st.sampled_from([Fraction(24), Fraction(30000, 1001), Fraction(60)]), st.integers(1, 400))
def test_every_place_of_the_grid_gets_exactly_one_picture(times: list[float], rate: Fraction, total: int) -> None:
    made = list(on_grid(((at_s, at_s) for at_s in times), rate=rate, total=total))
    assert [index for index, _ in made] == list(range(total))
    shown = [at_s for _, at_s in made]
    assert shown == sorted(shown)


@given(TIMES, st.integers(1, 400))
def test_a_picture_is_never_shown_more_than_half_a_place_early(times: list[float], total: int) -> None:
    rate = Fraction(30)
    for index, at_s in on_grid(((at_s, at_s) for at_s in times), rate=rate, total=total):
        assert at_s == times[0] or at_s <= (index + 0.5) / rate + 1e-9


def test_a_steady_source_passes_one_to_one() -> None:
    times = [(number / 30, number) for number in range(90)]
    assert [item for _, item in on_grid(times, rate=Fraction(30), total=90)] == list(range(90))


def test_a_gap_is_filled_by_the_picture_before_it() -> None:
    stamped = [(0.0, "a"), (0.5, "b")]
    assert [item for _, item in on_grid(stamped, rate=Fraction(10), total=8)] == ["a"] * 5 + ["b"] * 3


def test_nothing_in_nothing_out() -> None:
    assert list(on_grid([], rate=Fraction(30), total=5)) == []


@given(st.integers(1, 40_000), st.integers(1, 100))
def test_even_picks_lie_inside_and_differ(total: int, count: int) -> None:
    picks = evenly(total, count)
    assert len(set(picks)) == len(picks) == min(count, total)
    assert all(0 <= pick < total for pick in picks)


@given(st.integers(1, 40_000), st.sampled_from([Fraction(5), Fraction(24), Fraction(60)]))
def test_a_preview_is_short_and_inside_the_clip(total: int, rate: Fraction) -> None:
    places = preview_places(total, rate)
    assert 1 <= len(places) <= 33
    assert all(0 <= place < total for place in places)
