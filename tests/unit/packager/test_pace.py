"""How long the first rung may wait for the others."""

from packager.encoder.pace import Pace, projected_s


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_waiting_does_not_count_as_work() -> None:
    assert projected_s(10.0, 0.0, done=50, total=100) == 20.0
    assert projected_s(14.0, 4.0, done=50, total=100) == 24.0
    assert projected_s(1.0, 0.0, done=0, total=100) == float("inf")


def test_a_quick_lane_waits_until_the_rest_just_fits_the_goal() -> None:
    clock = Clock()
    pace = Pace(total=100, goal_s=10.0, clock=clock)
    clock.now += 2.0  # 40 pictures in 2 s: the other 60 take 3 s more
    waits = 0
    while pace.spare(40):
        with pace.waiting():
            clock.now += 0.25
        waits += 1
    assert waits * 0.25 == 5.0
    clock.now += 3.0
    assert clock.now - 100.0 == 10.0


def test_work_between_two_waits_is_not_taken_for_waiting() -> None:
    clock = Clock()
    pace = Pace(total=10, goal_s=10.0, clock=clock)
    clock.now += 1.0
    assert not pace.spare(1)  # ten pictures at this pace are just the goal
    clock.now += 0.5
    with pace.waiting():
        clock.now += 0.5
    assert pace.spare(2)  # 2 s are over, and eight pictures take 6 s more
    clock.now += 3.0
    assert not pace.spare(2)


def test_a_lane_that_cannot_keep_the_goal_never_waits() -> None:
    clock = Clock()
    pace = Pace(total=100, goal_s=10.0, clock=clock)
    clock.now += 6.0
    assert not pace.spare(50)
