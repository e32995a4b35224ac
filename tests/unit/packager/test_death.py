"""What a dead encoder died of."""

import signal
from collections import deque

import pytest

from packager.engine import _death


@pytest.mark.parametrize(
    ("code", "line", "expected"),
    [
        (-signal.SIGSEGV, "x264 [error]: malloc of size 1500068 failed", "memory"),
        (-signal.SIGSEGV, "something else", "crashed"),
        (-signal.SIGKILL, "", "crashed"),
        (-signal.SIGXFSZ, "", "output-limit"),
        (-signal.SIGXCPU, "", "deadline"),
        (1, "Traceback", "internal"),
    ],
)
def test_the_signal_and_the_last_words_tell_why(code: int, line: str, expected: str) -> None:
    assert _death(code, deque([line])).code == expected
