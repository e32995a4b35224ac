"""The spool between the first rung's lane and the others'."""

import threading
from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packager.encoder.halt import Halt, beside, waited
from packager.encoder.pace import Pace
from packager.encoder.spool import Spool
from packager.ladder import rungs_of, threads_of


def _pictures(count: int) -> list[av.VideoFrame]:
    return [av.VideoFrame(16, 16, "gray") for _ in range(count)]


def _spool(capacity: int, total: int, halt: Halt | None = None, *, patient: bool = False) -> Spool:
    """`patient`: the lane that puts always has time to wait."""
    pace = Pace(total=total, goal_s=float("inf") if patient else 0.0, clock=lambda: 0.0)
    return Spool(capacity=capacity, total=total, halt=halt or Halt(), pace=pace)


@given(st.integers(0, 12), st.integers(1, 20))
def test_a_spool_nobody_empties_keeps_the_first_and_leaves_the_others_out(capacity: int, total: int) -> None:
    spool, pictures = _spool(capacity, total), _pictures(total)
    for place, picture in enumerate(pictures):
        spool.put(place, picture)
    spool.close()
    taken = [spool.take(place) for place in range(total)]
    assert all(one is other for one, other in zip(taken, pictures[:capacity], strict=False))
    assert all(picture is None for picture in taken[capacity:])


@given(st.integers(0, 8), st.lists(st.booleans(), min_size=1, max_size=60))
def test_whoever_takes_when_there_is_one_gap_at_most(capacity: int, turns: list[bool]) -> None:
    """`turns`: whether the next picture is taken before the next one is put."""
    total = len(turns)
    spool, pictures = _spool(capacity, total), _pictures(total)
    got: list[av.VideoFrame | None] = []
    for place, take in enumerate(turns):
        spool.put(place, pictures[place])
        if take:
            got.append(spool.take(len(got)))
    spool.close()
    got += [spool.take(place) for place in range(len(got), total)]
    assert all(one is None or one is other for one, other in zip(got, pictures, strict=True))
    held = [picture is not None for picture in got]
    starts_of_gaps = [place for place in range(total) if not held[place] and (place == 0 or held[place - 1])]
    assert len(starts_of_gaps) <= 1


def test_after_the_gap_pictures_are_held_again_once_all_the_rest_fits() -> None:
    spool, pictures = _spool(2, 5), _pictures(5)
    for place in range(3):
        spool.put(place, pictures[place])
    assert [spool.take(0), spool.take(1)] == pictures[:2]
    spool.put(3, pictures[3])
    spool.put(4, pictures[4])
    spool.close()
    assert spool.take(2) is None
    assert [spool.take(3), spool.take(4)] == pictures[3:]


def test_one_who_decoded_past_a_picture_does_not_get_it_later() -> None:
    spool, pictures = _spool(1, 4), _pictures(4)
    spool.put(0, pictures[0])
    spool.put(1, pictures[1])
    assert spool.take(0) is pictures[0]
    assert [spool.take(1), spool.take(2), spool.take(3)] == [None, None, None]
    spool.put(2, pictures[2])
    spool.put(3, pictures[3])
    assert spool.take(3) is pictures[3]


def test_pictures_pass_between_threads_in_order_and_a_patient_lane_leaves_none_out() -> None:
    halt, pictures = Halt(), _pictures(300)
    spool = _spool(3, 300, halt, patient=True)
    taken = beside("taker", lambda: [spool.take(place) for place in range(300)], halt)
    for place, picture in enumerate(pictures):
        spool.put(place, picture)
    spool.close()
    assert all(one is other for one, other in zip(waited(taken, halt), pictures, strict=True))


@pytest.mark.parametrize("puts", [True, False])
def test_a_halt_wakes_whoever_waits_and_the_first_cause_is_kept(puts: bool) -> None:
    halt = Halt()
    spool = _spool(1, 9, halt, patient=True)

    def wait() -> None:
        for place, picture in enumerate(_pictures(9)):
            if puts:
                spool.put(place, picture)
            else:
                spool.take(place)

    waiting = beside("waiting", wait, halt)
    halt.because(OSError("disk full"))
    halt.because(ValueError("an echo"))
    with pytest.raises(OSError, match="disk full"):
        waited(waiting, halt)
    with pytest.raises(OSError, match="disk full"):
        waiting.result(timeout=10)


def test_a_failure_beside_halts_the_job() -> None:
    halt, started = Halt(), threading.Event()

    def fail() -> None:
        started.wait()
        raise MemoryError

    future = beside("failing", fail, halt)
    halt.check()
    started.set()
    with pytest.raises(MemoryError):
        waited(future, halt)
    with pytest.raises(MemoryError):
        halt.check()


def test_encoder_threads_follow_the_pixels() -> None:
    rungs = rungs_of(1920, 1080, Fraction(30), 450)
    assert threads_of(rungs[1:], 2) == (1, 1, 2)
    assert threads_of(rungs[1:], 1) == (1, 1, 1)
    assert threads_of(rungs[:1], 4) == (4,)
    assert threads_of(rungs[1:], 8) == (1, 3, 5)
