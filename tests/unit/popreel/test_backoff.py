"""When a process is started again."""

from __future__ import annotations

from popreel.launcher.backoff import FIRST_PAUSE_S, HEALTHY_AFTER_S, LONGEST_PAUSE_S, Backoff


def test_pauses_double_up_to_the_longest_and_stay_there() -> None:
    backoff, pauses = Backoff(), []
    for _ in range(40):
        pause_s, backoff = backoff.after(ran_s=0.0)
        pauses.append(pause_s)
    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert max(pauses) == pauses[-1] == LONGEST_PAUSE_S


def test_a_healthy_run_forgets_earlier_failures() -> None:
    _, backoff = Backoff(failures=9).after(ran_s=HEALTHY_AFTER_S)
    assert backoff == Backoff(failures=1)
    assert Backoff(failures=9).after(ran_s=HEALTHY_AFTER_S)[0] == FIRST_PAUSE_S
