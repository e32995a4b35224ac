"""The child never outlives its job: deadline, early close, kill -9 of the child and of the parent."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from packager import Completed, PackagingFailed, Playable, SandboxReport, package
from tests.integration.packager.reading import check_names_only_final_bytes
from tests.media import clip


def _encoders(parent: psutil.Process | None = None) -> list[psutil.Process]:
    children = (parent or psutil.Process()).children(recursive=True)
    return [child for child in children if "packager.encoder.main" in " ".join(child.cmdline())]


async def test_a_job_over_its_deadline_is_stopped_and_may_be_tried_again(tmp_path: Path) -> None:
    with pytest.raises(PackagingFailed) as failed:
        async for _ in package(clip("bunny-720p"), tmp_path / "out", deadline_s=0.8):
            pass
    assert failed.value.code == "deadline"
    assert failed.value.retryable
    assert not _encoders()
    assert not list((tmp_path / "out").glob("*.part"))


async def test_closing_the_generator_ends_the_child(tmp_path: Path) -> None:
    events = package(clip("bunny-720p"), tmp_path / "out")
    assert isinstance(await anext(events), SandboxReport)
    assert len(_encoders()) == 1
    await events.aclose()  # type: ignore[attr-defined]  # an async generator
    assert not _encoders()


async def test_cancelling_the_consumer_ends_the_child(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def consume() -> None:
        async for _ in package(clip("bunny-720p"), tmp_path / "out"):
            started.set()

    task = asyncio.create_task(consume())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not _encoders()


@pytest.mark.parametrize("events_before", [1, 2, 4, 8, 14])
async def test_a_killed_encoder_fails_once_and_leaves_only_whole_files(events_before: int, tmp_path: Path) -> None:
    out_dir = tmp_path / "out"
    events = package(clip("park"), out_dir)
    seen = 0
    try:
        async for event in events:
            seen += 1
            if seen == events_before:
                for child in _encoders():
                    child.send_signal(signal.SIGKILL)
            if isinstance(event, Completed):  # it was quicker than the signal
                return
    except PackagingFailed as failed:
        assert failed.code == "crashed"  # noqa: PT017
        assert failed.retryable  # noqa: PT017
    assert not _encoders()
    assert not list(out_dir.glob("*.part"))
    check_names_only_final_bytes(out_dir)


async def test_a_second_try_over_the_remains_of_the_first_completes(tmp_path: Path) -> None:
    out_dir = tmp_path / "out"
    with pytest.raises(PackagingFailed):
        await _killed_when_playable(clip("cat"), out_dir)
    kinds = [type(event) async for event in package(clip("park"), out_dir)]
    assert kinds[-1] is Completed
    check_names_only_final_bytes(out_dir)


async def _killed_when_playable(source: Path, out_dir: Path) -> None:
    async for event in package(source, out_dir):
        if isinstance(event, Playable):
            for child in _encoders():
                child.kill()


def test_the_encoder_dies_with_a_killed_parent(tmp_path: Path) -> None:
    """kill -9 of the worker: no handler runs, the kernel ends the child."""
    script = """
import asyncio, sys
from pathlib import Path
from packager import package
async def main():
    async for event in package(Path(sys.argv[1]), Path(sys.argv[2])):
        print(type(event).__name__, flush=True)
asyncio.run(main())
"""
    command = [sys.executable, "-c", script, str(clip("bunny-720p")), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "SandboxReport\n"
        encoders = _encoders(psutil.Process(worker.pid))
        assert len(encoders) == 1
        worker.kill()
    _, alive = psutil.wait_procs(encoders, timeout=10)
    assert not alive
