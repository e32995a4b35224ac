"""The walls around the encoder, tried from inside by a process that puts them up and then misbehaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from packager import SandboxReport, package
from tests.media import clip

_ATTEMPTS = """
import ctypes, json, os, socket, sys
from pathlib import Path
from packager.limits import Limits
from packager.sandbox.walls import leave_network, raise_walls
out = Path(sys.argv[1])
offline = leave_network()
report = raise_walls(out_dir=out, limits=Limits(), cpu_seconds=60, offline=offline)
def attempt(action):
    try:
        action()
    except OSError as err:
        return err.errno
    return 0
def open_socket():
    socket.socket(socket.AF_INET, socket.SOCK_STREAM)
done = {
    "read /etc/passwd": attempt(lambda: open("/etc/passwd").read()),
    "read a neighbour": attempt(lambda: open(out.parent / "secret").read()),
    "write outside": attempt(lambda: open(out.parent / "new", "w")),
    "socket": attempt(open_socket),
    "exec": attempt(lambda: os.execv("/bin/true", ["true"])),
    "fork": attempt(os.fork),
    "kill the parent": attempt(lambda: os.kill(os.getppid(), 0)),
    "write inside": attempt(lambda: (out / "fine").write_text("x")),
    "core dump": attempt(lambda: os.readlink("/proc/self/exe")),
}
print(json.dumps({"walls": report.walls, "done": done}))
"""


def test_nothing_outside_is_read_written_started_or_reached(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    out_dir = tmp_path / "out"
    out_dir.mkdir()
    run = subprocess.run([sys.executable, "-c", _ATTEMPTS, str(out_dir)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    if set(report["walls"]) != {"rlimits", "network", "landlock", "seccomp"}:
        pytest.skip(f"this kernel gives only {report['walls']}")
    done = report["done"]
    for forbidden in ("read /etc/passwd", "read a neighbour", "write outside", "socket", "exec", "fork"):
        assert done[forbidden] in (1, 13), forbidden  # EPERM, EACCES
    assert done["kill the parent"] in (1, 13)
    assert done["write inside"] == 0
    assert not (tmp_path / "new").exists()


_OVERFLOWING = """
import os, sys
from pathlib import Path
import av
from packager.encoder.overflow import Overflow
from packager.limits import Limits
from packager.sandbox.walls import raise_walls
out = Path(sys.argv[1])
raise_walls(out_dir=out, limits=Limits(), cpu_seconds=60, offline=False)
store = Overflow(out, limit_bytes=1 << 20, picture_bytes=400)
slot = store.write(av.VideoFrame(16, 16, "yuv420p"))
print(slot is not None and store.read(slot) is not None, os.listdir(out))
"""


def test_pictures_can_wait_on_disk_behind_the_walls(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _OVERFLOWING, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "True []"


async def test_every_job_reports_its_walls(tmp_path: Path) -> None:
    events = package(clip("park"), tmp_path / "out")
    try:
        first = await anext(events)
        assert isinstance(first, SandboxReport)
        assert "rlimits" in first.walls
    finally:
        await events.aclose()  # type: ignore[attr-defined]  # an async generator
