from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packager.ladder import LADDER, cuts_of, output_rate, rungs_of, scaled

RATES = st.sampled_from([Fraction(n, d) for n, d in ((24000, 1001), (25, 1), (30, 1), (50, 1), (60000, 1001), (60, 1))])


@pytest.mark.parametrize(
    ("size", "names"),
    [
        ((1920, 1080), ["360p", "480p", "720p", "1080p"]),
        ((1080, 1920), ["360p", "480p", "720p", "1080p"]),
        ((3840, 2160), ["360p", "480p", "720p", "1080p"]),
        ((720, 720), ["360p", "480p", "720p"]),
        ((1278, 718), ["360p", "480p"]),
        ((480, 270), ["270p"]),
        ((64, 64), ["64p"]),
    ],
)
def test_a_source_gets_the_rungs_up_to_its_own_short_edge(size: tuple[int, int], names: list[str]) -> None:
    assert [rung.name for rung in rungs_of(*size, Fraction(30), 300)] == names


@given(st.integers(16, 4096), st.integers(16, 4096), RATES, st.integers(1, 4000))
def test_rungs_are_even_never_larger_than_the_source_and_keep_its_shape(
    width: int, height: int, rate: Fraction, total: int
) -> None:
    for rung in rungs_of(width, height, rate, total):
        assert rung.width % 2 == 0
        assert rung.height % 2 == 0
        assert rung.width <= width + 1
        assert rung.height <= height + 1
        assert abs(rung.width / rung.height / (width / height) - 1) < 2 / min(rung.width, rung.height) + 1e-9


@given(RATES, st.integers(1, 40_000))
def test_every_rung_cuts_at_the_same_instants(rate: Fraction, total: int) -> None:
    rungs = rungs_of(1920, 1080, rate, total)
    instants = [[cut / rung.frame_rate for cut in rung.cuts] for rung in rungs]
    assert all(each == instants[0] for each in instants)
    assert all(rung.cuts[-1] < rung.total_frames for rung in rungs)


@given(RATES, st.integers(1, 40_000))
def test_the_first_fragment_lasts_about_a_second_and_the_others_two(rate: Fraction, total: int) -> None:
    cuts = cuts_of(total, rate)
    lengths = [(after - cut) / rate for cut, after in zip(cuts, (*cuts[1:], total), strict=True)]
    slack = 2 / rate
    if len(lengths) > 2:
        assert abs(lengths[0] - 1) <= slack
        assert all(1 - slack <= length <= 2 + slack for length in lengths[1:])
    assert all(abs(length - 2) <= slack for length in lengths[1:-2])
    assert all(length >= min(Fraction(3, 4), total / rate) - slack for length in lengths)


def test_sixty_frames_a_second_are_kept_for_the_upper_rungs_only() -> None:
    rates = {rung.name: rung.frame_rate for rung in rungs_of(1920, 1080, Fraction(60), 600)}
    assert rates == {"360p": 30, "480p": 30, "720p": 60, "1080p": 60}


def test_the_ceilings_are_those_of_the_specification() -> None:
    assert [(step.short_edge, step.ceiling_bps) for step in LADDER] == [
        (360, 600_000),
        (480, 1_000_000),
        (720, 2_500_000),
        (1080, 5_000_000),
    ]


@pytest.mark.parametrize(
    ("measured", "variable", "expected"),
    [
        (Fraction(2997, 100), False, Fraction(30000, 1001)),
        (Fraction(12), False, Fraction(12)),
        (Fraction(120), False, Fraction(60)),
        (Fraction(240), False, Fraction(60)),
        (Fraction(5994, 100), False, Fraction(60000, 1001)),
        (Fraction(27), True, Fraction(30000, 1001)),
        (Fraction(4), True, Fraction(24000, 1001)),
        (Fraction(58), True, Fraction(60000, 1001)),
        (Fraction(1), False, Fraction(5)),
    ],
)
def test_the_output_rate_is_steady_and_at_most_sixty(measured: Fraction, variable: bool, expected: Fraction) -> None:
    assert output_rate(measured, variable=variable) == expected


def test_scaling_rounds_to_even_edges() -> None:
    assert scaled(1920, 1080, 480) == (854, 480)
    assert scaled(1080, 1920, 480) == (480, 854)
