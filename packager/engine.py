"""The parent's side: starts the encoder child, relays its events, ends it whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import msgspec

import foundation
from packager.disk_budget import disk_budget_bytes
from packager.edits import NO_EDITS, Edits
from packager.encoder.job import ClipJob, Job, SoundJob
from packager.errors import PackagingFailed, Refusal, RefusedInput
from packager.events import Broke, ChildMessage, Completed, Event, Refused, SoundPrepared
from packager.limits import Limits
from packager.memory_budget import frame_budget_bytes

MAX_LINE_BYTES = 4 << 20
"""Longest message of a child: a manifest with its inlined playlist is some 10 kB."""
_STDERR_LINES = 40


async def package(
    source: Path,
    out_dir: Path,
    *,
    revision: int = 1,
    edits: Edits = NO_EDITS,
    limits: Limits = Limits(),  # noqa: B008  # frozen
    deadline_s: float = 300.0,
    sound: Path | None = None,
    partner: Path | None = None,
) -> AsyncIterator[Event]:
    """Package `source` into `out_dir` (made if missing), yielding events as things become final.

    The work is done by a child process that cannot outlive `deadline_s`, the generator or this process. Closing the
    generator early (`aclose`, cancellation) kills the child; files already announced stay. Raises RefusedInput (the
    file's fault, do not retry) or PackagingFailed (`retryable`). Bound to the running loop; holds no thread.
    `sound` is the file of `edits.sound`, `partner` the other clip of a duet or stitch.
    """
    out_dir = await asyncio.to_thread(_made, out_dir)
    in_memory = await asyncio.to_thread(frame_budget_bytes, limits.frame_memory_bytes)
    on_disk = await asyncio.to_thread(disk_budget_bytes, limits.frame_disk_bytes, out_dir)
    inputs = await asyncio.to_thread(_Inputs, source, sound, partner)
    job = ClipJob(
        parent_pid=os.getpid(),
        source_fd=inputs.source,
        sound_fd=inputs.sound,
        partner_fd=inputs.partner,
        out_dir=str(out_dir),
        revision=revision,
        edits=edits,
        limits=msgspec.structs.replace(limits, frame_memory_bytes=in_memory, frame_disk_bytes=on_disk),
        cpu_seconds=_cpu_seconds(deadline_s),
    )
    # aclosing: closing this generator closes that one, and so ends the child, before it returns
    async with contextlib.aclosing(_relayed(job, inputs, deadline_s=deadline_s)) as messages:
        async for message in messages:
            assert not isinstance(message, SoundPrepared), "a clip was asked for"
            yield message


async def prepare_sound(
    source: Path,
    out_dir: Path,
    *,
    limits: Limits = Limits(),  # noqa: B008  # frozen
    deadline_s: float = 120.0,
) -> SoundPrepared:
    """Make a sound file ready for the library: `out_dir`/sound.m4a, its length and its fingerprint.

    Takes MP3, WAV, FLAC, Ogg, M4A and what `package` takes, of which the first sound track counts. Same child, same
    walls, same errors as `package`; `limits.max_duration_s` is the longest sound.
    """
    out_dir = await asyncio.to_thread(_made, out_dir)
    inputs = await asyncio.to_thread(_Inputs, source, None, None)
    job = SoundJob(
        parent_pid=os.getpid(),
        source_fd=inputs.source,
        out_dir=str(out_dir),
        limits=limits,
        cpu_seconds=_cpu_seconds(deadline_s),
    )
    prepared: SoundPrepared | None = None
    async with contextlib.aclosing(_relayed(job, inputs, deadline_s=deadline_s)) as messages:
        async for message in messages:
            prepared = message if isinstance(message, SoundPrepared) else None
    assert prepared is not None, "_relayed ends with it or raises"
    return prepared


async def _relayed(job: Job, inputs: _Inputs, *, deadline_s: float) -> AsyncGenerator[Event | SoundPrepared]:
    """Run a child on `job` and yield what it says; its last word comes after it is gone. Closes `inputs`."""
    out_dir = Path(job.out_dir)
    try:
        child = await _start(job, inputs)
    finally:
        inputs.close()
    stderr: deque[str] = deque(maxlen=_STDERR_LINES)
    drain = asyncio.create_task(_drain(child, stderr))
    # A timer, not asyncio.timeout: that would cancel the consumer in whatever it does between two events.
    deadline = _Deadline(child, deadline_s)
    last: Completed | SoundPrepared | None = None
    try:
        async for event in _events(child):
            if isinstance(event, Completed | SoundPrepared):
                last = event
            else:
                yield event
        code = await child.wait()
        if last is None:
            await drain
            raise deadline.failure() or _death(code, stderr)
    finally:
        deadline.cancel()
        await _end(child, drain)
        await asyncio.to_thread(_sweep, out_dir)
    # Last, after the child is gone: a consumer that stops at Completed leaves nothing behind.
    yield last


class _Deadline:
    """Kills the child when its time is over, whatever the consumer is doing."""

    def __init__(self, child: asyncio.subprocess.Process, seconds: float) -> None:
        self._child = child
        self._seconds = seconds
        self._expired = False
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)

    def _expire(self) -> None:
        self._expired = True
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()

    def cancel(self) -> None:
        self._timer.cancel()

    def failure(self) -> PackagingFailed | None:
        if not self._expired:
            return None
        return PackagingFailed("deadline", f"packaging took longer than {self._seconds:g} s and was stopped")


def _sweep(out_dir: Path) -> None:
    """Remove what a dead child left unfinished; finished files have other names."""
    for part in out_dir.glob("*.part"):
        part.unlink(missing_ok=True)
    shutil.rmtree(out_dir / ".scratch", ignore_errors=True)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _open_regular(source: Path) -> int:
    """Open for reading; a pipe or device (which could block or never end) is refused."""
    descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not os.path.isfile(f"/proc/self/fd/{descriptor}"):  # noqa: PTH113
        os.close(descriptor)
        raise RefusedInput(Refusal.NOT_MEDIA, f"{source.name} is not a regular file.")
    return descriptor


class _Inputs:
    """The files the child may read, open for as long as it takes to hand them over."""

    def __init__(self, source: Path, sound: Path | None, partner: Path | None) -> None:
        self.all: list[int] = []
        try:
            self.source = self._open(source)
            self.sound = None if sound is None else self._open(sound)
            self.partner = None if partner is None else self._open(partner)
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path) -> int:
        self.all.append(_open_regular(path))
        return self.all[-1]

    def close(self) -> None:
        for descriptor in self.all:
            os.close(descriptor)


def _cpu_seconds(deadline_s: float) -> int:
    """A second lock behind the deadline, for a parent that hangs: every processor busy all the time, and some."""
    return int(deadline_s * (os.cpu_count() or 1)) + 10


async def _start(job: Job, inputs: _Inputs) -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "packager.encoder.main",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=tuple(inputs.all),
        cwd=job.out_dir,
        env=_environment(),
        start_new_session=True,
        limit=MAX_LINE_BYTES,
    )
    assert child.stdin is not None
    with contextlib.suppress(ConnectionError):  # a child that died says why by its exit code
        child.stdin.write(msgspec.json.encode(job))
        await child.stdin.drain()
        child.stdin.close()
    return child


def _environment() -> dict[str, str]:
    """Nothing of ours but where the code is: the child decodes strangers' files and needs no secrets."""
    root = str(Path(foundation.__file__).resolve().parent.parent)
    return {
        "PYTHONPATH": root,
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "MALLOC_ARENA_MAX": "4",
        # Memory of a picture is used again for the next one: given back to the kernel in between, it costs a page
        # fault for each 4 KiB, a third of all system time.
        "MALLOC_TRIM_THRESHOLD_": str(4 << 30),
        "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
        "OPENBLAS_NUM_THREADS": "1",
    }


async def _events(child: asyncio.subprocess.Process) -> AsyncIterator[Event | SoundPrepared]:
    assert child.stdout is not None
    while line := await child.stdout.readline():
        message: ChildMessage = msgspec.json.decode(line, type=ChildMessage)
        if isinstance(message, Refused):
            raise RefusedInput(Refusal(message.code), message.detail)
        if isinstance(message, Broke):
            raise PackagingFailed(message.code, message.detail)
        yield message


async def _drain(child: asyncio.subprocess.Process, lines: deque[str]) -> None:
    """Keep the last lines of stderr; read on so that a talkative library cannot block the child."""
    assert child.stderr is not None
    while chunk := await child.stderr.read(8192):
        lines.extend(chunk.decode(errors="replace").splitlines())


def _death(code: int, stderr: deque[str]) -> PackagingFailed:
    last = " | ".join(list(stderr)[-12:])[-1000:]
    if code == -signal.SIGXCPU:
        return PackagingFailed("deadline", "packaging used more processor time than allowed and was stopped")
    if code == -signal.SIGXFSZ:
        return PackagingFailed("output-limit", "the result is larger than allowed")
    if code < 0 and any("malloc of size" in line for line in stderr):  # x264 says so and then may fall over it
        return PackagingFailed("memory", f"the encoder ran out of memory and died of {signal.Signals(-code).name}")
    if code < 0:
        return PackagingFailed("crashed", f"the encoder died of {signal.Signals(-code).name}: {last}")
    return PackagingFailed("internal", f"the encoder ended with code {code}: {last}")


async def _end(child: asyncio.subprocess.Process, drain: asyncio.Task[None]) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    await child.wait()
    drain.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await drain
