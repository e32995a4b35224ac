"""How the threads of one job stop together when one of them fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class NoThread(Exception):
    """No memory for another thread's stack."""


class Halt:
    """Keeps the first failure of a job; all its threads look here whenever they would wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the first cause wins
        self._cause: BaseException | None = None

    def because(self, cause: BaseException) -> None:
        with self._lock:
            self._cause = self._cause or cause

    def check(self) -> None:
        """Raise what went wrong first, in whichever thread."""
        if self._cause is not None:
            raise self._cause


def start_thread(name: str, work: Callable[[], None]) -> threading.Thread:
    """A thread that does not keep a failing process alive. Raises NoThread."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as err:  # "can't start new thread": the only way start() fails on a fresh thread
        raise NoThread(name) from err
    return thread


def beside(name: str, work: Callable[[], T], halt: Halt) -> Future[T]:
    """Run `work` in a thread of its own; its failure halts the job. Raises NoThread."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as err:  # for the thread that waits
            halt.because(err)
            future.set_exception(err)

    start_thread(name, run)
    return future


def waited(future: Future[T], halt: Halt, *, step_s: float = 0.2) -> T:
    """The result, unless the job halts first."""
    while True:
        halt.check()
        try:
            return future.result(timeout=step_s)
        except TimeoutError:
            continue
