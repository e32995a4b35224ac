"""`popreel package` and `popreel edge`: the engines as plain programs, with no platform around them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import imageio_ffmpeg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from popreel.embedded.ports import free_ports
from popreel.embedded.process import ManagedProcess, log_tail


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("clip") / "two words.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi"]
    command += ["-i", "testsrc2=size=320x240:rate=25:duration=2", "-pix_fmt", "yuv420p", str(file)]
    subprocess.run(command, check=True)
    return file


def test_package_writes_a_master_playlist_and_what_it_names(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out dir"
    result = subprocess.run(
        [sys.executable, "-P", "-m", "popreel", "package", str(clip), str(out), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    manifest = json.loads(result.stdout)
    assert manifest["durationMs"] == 2000
    named = [line for line in (out / "master.m3u8").read_text().splitlines() if line and not line.startswith("#")]
    assert named
    assert all((out / name).is_file() for name in named)


async def test_edge_caches_any_origin_and_ends_when_told_to(tmp_path: Path) -> None:
    asked = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(body=b"z" * 1000, headers={"Cache-Control": "max-age=60", "ETag": '"1"'})

    app = web.Application()
    app.router.add_get("/{tail:.*}", handler)
    origin = TestServer(app)
    await origin.start_server()
    listen = f"127.0.0.1:{free_ports(1)[0]}"
    process = ManagedProcess.spawn(
        [
            *(sys.executable, "-P", "-m", "popreel", "edge", "--origin", str(origin.make_url("/"))),
            *("--listen", listen, "--cache-dir", tmp_path / "cache", "--ram", "8MiB", "--disk", "64MiB"),
        ],
        name="edge",
        log_file=tmp_path / "edge.log",
        cwd=tmp_path,
        environ=dict(os.environ),
    )
    try:
        async with aiohttp.ClientSession() as http:
            first = await _get_once_it_listens(http, f"http://{listen}/a", process)
            async with http.get(f"http://{listen}/a") as second:
                assert await second.read() == first == b"z" * 1000
                assert "hit" in second.headers["Cache-Status"]
        assert asked == 1
    finally:
        code = await process.stop(signal.SIGTERM, deadline_s=15)
        await origin.close()
    assert code == 0, log_tail(process.log_file)


async def _get_once_it_listens(http: aiohttp.ClientSession, url: str, process: ManagedProcess) -> bytes:
    while process.returncode is None:
        try:
            async with http.get(url) as answer:
                assert answer.status == 200
                return await answer.read()
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.05)  # it says nowhere else that it listens
    raise AssertionError(log_tail(process.log_file))
