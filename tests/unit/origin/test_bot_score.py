"""Who is taken for a program, who is not, and that decisions do not flicker at the threshold."""

from __future__ import annotations

import pytest

from origin.accounts.bot_score import BAN_ABOVE, WEIGHTS, Evidence, Parts, parts_of, shadow_banned

PEOPLE = {
    "new and silent": Evidence(),
    "busy creator": Evidence(videos_posted=20, watches=200, active_hours=12, likes=50, has_bio=True, has_avatar=True),
    "watches all night": Evidence(watches=1800, active_hours=20, same_watches=90, likes=200),
    "likes everything": Evidence(watches=300, active_hours=8, likes=290, comments=12, same_comments=7),
    "school tablet": Evidence(watches=300, active_hours=6, likes=20, accounts_of_device=30),
    "loops one video": Evidence(watches=400, active_hours=5, same_watches=250),
}
PROGRAMS = {
    "farm": Evidence(
        videos_posted=40,
        watches=5000,
        active_hours=24,
        likes=2000,
        accounts_of_device=12,
        comments=50,
        same_comments=50,
    ),
    "farm with a face": Evidence(
        videos_posted=40,
        watches=9000,
        active_hours=24,
        likes=2000,
        accounts_of_device=12,
        has_bio=True,
        has_avatar=True,
    ),
    "spammer": Evidence(
        videos_posted=30, watches=400, same_watches=390, likes=1200, comments=30, same_comments=30, accounts_of_device=9
    ),
}


@pytest.mark.parametrize("name", PEOPLE)
def test_people_stay(name: str) -> None:
    assert parts_of(PEOPLE[name]).score < 0.6


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_go(name: str) -> None:
    assert parts_of(PROGRAMS[name]).score > BAN_ABOVE


def test_weights_are_those_of_the_specification_and_no_part_bans_alone() -> None:
    assert WEIGHTS == {"posting": 0.3, "watching": 0.25, "engagement": 0.2, "device": 0.15, "profile": 0.1}
    assert Parts(posting=1, watching=1, engagement=1, device=1, profile=1).score == 1
    for name in WEIGHTS:
        assert Parts(**{other: float(other != name) for other in WEIGHTS}).score == pytest.approx(1 - WEIGHTS[name])


@pytest.mark.parametrize(
    ("score", "now", "override", "then"),
    [
        (0.8, False, None, False),  # "above .8", not at it
        (0.8001, False, None, True),
        (0.6, True, None, True),
        (0.5999, True, None, False),
        (0.7, False, None, False),
        (0.7, True, None, True),
        (1.0, True, "off", False),
        (0.0, False, "on", True),
    ],
)
def test_a_decision_holds_between_the_thresholds(score: float, now: bool, override: str | None, then: bool) -> None:
    assert shadow_banned(score=score, now=now, override=override) is then
