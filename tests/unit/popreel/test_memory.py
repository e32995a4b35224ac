"""Memory of a process tree."""

from __future__ import annotations

import os
import subprocess
import sys

from popreel.commands.memory import memory_bytes

_CHILD = """
import subprocess, sys
block = bytearray(50_000_000)
grandchild = "import time; block = bytearray(50_000_000); print(1, flush=True); time.sleep(60)"
subprocess.run([sys.executable, "-c", grandchild])
"""


def test_children_of_children_count_and_the_dead_do_not() -> None:
    with subprocess.Popen([sys.executable, "-c", _CHILD], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        found = memory_bytes([child.pid, 2**22 + 1])
        subprocess.run(["/bin/sh", "-c", f"kill -9 $(cat /proc/{child.pid}/task/{child.pid}/children)"], check=True)
    assert found[child.pid] > 100_000_000
    assert found[2**22 + 1] == 0
    assert memory_bytes([os.getpid()])[os.getpid()] > 10_000_000
