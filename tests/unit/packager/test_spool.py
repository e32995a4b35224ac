"""The spool between the first rung's lane and the others'."""

import threading
from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packager.encoder.halt import Halt, beside, waited
from packager.encoder.spool import Spool
from packager.ladder import rungs_of, threads_of


def _pictures(count: int) -> list[av.VideoFrame]:
    return [av.VideoFrame(16, 16, "gray") for _ in range(count)]


@given(st.integers(0, 12), st.integers(0, 20))
def test_a_spool_nobody_empties_keeps_the_first_and_counts_them(capacity: int, given_count: int) -> None:
    spool, pictures = Spool(capacity=capacity, halt=Halt()), _pictures(given_count)
    for picture in pictures:
        spool.put(picture)
    spool.close()
    taken = [picture for _, picture in spool.pictures()]
    assert len(taken) == spool.count == min(capacity, given_count)
    assert all(one is other for one, other in zip(taken, pictures, strict=False))
    assert spool.last is (taken[-1] if taken else None)


def test_a_spool_that_ended_takes_nothing_more_even_when_there_is_room_again() -> None:
    spool, pictures = Spool(capacity=2, halt=Halt()), _pictures(5)
    for picture in pictures[:3]:
        spool.put(picture)
    taken = spool.pictures()
    assert next(taken)[1] is pictures[0]
    spool.put(pictures[3])
    assert [place for place, _ in taken] == [1]
    assert spool.count == 2


def test_pictures_pass_between_threads_in_order() -> None:
    spool, pictures, halt = Spool(capacity=1000, halt=Halt()), _pictures(300), Halt()
    taken = beside("taker", lambda: list(spool.pictures()), halt)
    for picture in pictures:
        spool.put(picture)
    spool.close()
    got = waited(taken, halt)
    assert [place for place, _ in got] == list(range(300))
    assert all(one is other for (_, one), other in zip(got, pictures, strict=True))


def test_a_halt_wakes_whoever_waits_and_the_first_cause_is_kept() -> None:
    halt = Halt()
    spool = Spool(capacity=1, halt=halt)
    taken = beside("taker", lambda: list(spool.pictures()), halt)
    halt.because(OSError("disk full"))
    halt.because(ValueError("an echo"))
    with pytest.raises(OSError, match="disk full"):
        waited(taken, halt)
    with pytest.raises(OSError, match="disk full"):
        taken.result(timeout=10)


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
