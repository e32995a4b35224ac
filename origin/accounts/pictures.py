"""Starts the picture child for each picture and reads its verdict; the API process never decodes a stranger's bytes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import msgspec

import origin
from foundation.errors import BadInput, Unavailable
from origin.accounts.avatar import SIZES, PictureVerdict

_ANSWER_BYTES = 1 << 20
"""Both files of an avatar are some 30 kB."""
_DEADLINE_S = 20.0


class Pictures:
    """At most `at_once` children; `queue` callers wait, more are told to come back."""

    def __init__(self, *, at_once: int = 2, queue: int = 16) -> None:
        self._turn = asyncio.Semaphore(at_once)
        self._queue = queue
        self._waiting = 0

    async def avatar(self, data: bytes) -> dict[int, bytes]:
        """WebP files by edge in pixels, for all of SIZES.

        Raises BadInput (what is wrong with the picture), Unavailable (too many at this moment).
        """
        if self._waiting >= self._queue:
            raise Unavailable("too many pictures are being read at this moment, try again", retry_after_s=2)
        self._waiting += 1
        try:
            async with self._turn:
                answer = await _ask_child(data)
        finally:
            self._waiting -= 1
        if answer.refused or set(answer.files) != set(SIZES):
            raise BadInput(answer.refused or "this picture cannot be read")
        return answer.files


async def _ask_child(data: bytes) -> PictureVerdict:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "origin.accounts.picture_child",
        str(os.getpid()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_DEADLINE_S):
            _, raw = await asyncio.gather(_feed(child, data), _read(child))
            await child.wait()
    except TimeoutError:
        return PictureVerdict(refused="the picture takes too long to read")
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    try:
        return msgspec.msgpack.decode(raw, type=PictureVerdict)
    except msgspec.DecodeError:  # it died of its limits, or of the picture
        return PictureVerdict(refused="this picture cannot be read")


async def _feed(child: asyncio.subprocess.Process, data: bytes) -> None:
    assert child.stdin is not None
    with contextlib.suppress(ConnectionError):  # a child that refuses early does not read on
        child.stdin.write(data)
        await child.stdin.drain()
    child.stdin.close()


async def _read(child: asyncio.subprocess.Process) -> bytes:
    assert child.stdout is not None
    parts, size = [], 0
    while size <= _ANSWER_BYTES and (chunk := await child.stdout.read(65536)):
        parts.append(chunk)
        size += len(chunk)
    return b"".join(parts)


def _environment() -> dict[str, str]:
    """Nothing of ours but where the code is."""
    root = str(Path(origin.__file__).resolve().parent.parent)
    return {"PYTHONPATH": root, "PATH": os.defpath, "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}
