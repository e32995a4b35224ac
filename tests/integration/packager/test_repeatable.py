"""The same pictures give the same bytes, whatever else this machine does or did."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("size", [("854", "480"), ("480", "854")])
def test_what_memory_held_before_does_not_show_in_the_pictures(size: tuple[str, str]) -> None:
    """glibc fills memory that it hands out and takes back with what MALLOC_PERTURB_ says; other libcs ignore it.

    On a processor with AVX-512, x264's code for that came to another result each time.
    """
    assert len({_encoded(size, perturb=value) for value in ("1", "170")}) == 1


def _encoded(size: tuple[str, str], *, perturb: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.packager.encoding", *size],
        env={**os.environ, "MALLOC_PERTURB_": perturb},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout
