"""A client; clips made on the spot: small in pixels so that packaging takes seconds, large in bytes for parts."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import imageio_ffmpeg
import pytest

from tests.http_client import open_session

MakeClip = Callable[..., Path]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as session:
        yield session


@pytest.fixture(scope="session")
def make_clip(tmp_path_factory: pytest.TempPathFactory) -> MakeClip:
    """make_clip(name, seconds=2, megabytes=0): an H.264 + AAC file of a moving test picture, padded to a size.

    The padding is a free box at the end (ISO/IEC 14496-12 section 8.1.2), which readers skip.
    """
    folder = tmp_path_factory.mktemp("clips")

    def make(name: str, *, seconds: int = 2, megabytes: int = 0) -> Path:
        file = folder / f"{name}.mp4"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
        command += ["-f", "lavfi", "-i", f"testsrc2=size=320x568:rate=30:duration={seconds}"]
        command += ["-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}"]
        command += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", str(file)]
        subprocess.run(command, check=True)
        missing = megabytes * 1_000_000 - file.stat().st_size
        if missing > 8:
            with file.open("ab") as handle:
                handle.write(missing.to_bytes(4, "big") + b"free" + bytes(missing - 8))
        return file

    return make
