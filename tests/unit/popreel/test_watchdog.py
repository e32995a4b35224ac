"""When silence is a hang, and when it is only ours."""

from __future__ import annotations

from popreel.launcher.watchdog import Pulse, look_every_s, overslept


def test_silence_counts_from_the_last_answer() -> None:
    pulse = Pulse(100.0)
    assert not pulse.hung(now_s=159.9, limit_s=60)
    assert pulse.hung(now_s=160.0, limit_s=60)
    assert not Pulse(130.0).hung(now_s=160.0, limit_s=60)


def test_there_are_several_looks_within_the_limit_and_none_too_rare() -> None:
    assert look_every_s(6) == 1
    assert look_every_s(3600) == 10


def test_an_observer_that_slept_itself_draws_no_conclusion() -> None:
    assert overslept(slept_s=45, asked_s=10, limit_s=60)
    assert not overslept(slept_s=12, asked_s=10, limit_s=60)
