"""A service process from start to drain, as an operator runs it."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from popreel.embedded.ports import free_ports
from tests.http_client import json_of

SERVICE = """
import asyncio
import signal
from contextlib import asynccontextmanager
from typing import ClassVar
from aiohttp import web
from foundation.errors import Unavailable
from foundation.http.server import new_app, run_service
from foundation.settings import Settings

class Sample(Settings, frozen=True, kw_only=True):
    section: ClassVar[str] = "sample"
    listen: str

@asynccontextmanager
async def compose(settings):
    opened, finish = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, finish.set)
    async def ready():
        if not opened.is_set():
            raise Unavailable("the store is closed")
    async def slow(request):
        opened.set()
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun ")
        await finish.wait()
        await response.write(b"done")
        return response
    app = new_app("sample", ready=ready)
    app.router.add_post("/slow", slow)
    yield app
    print("closed", flush=True)

run_service("sample", Sample, compose)
"""


@asynccontextmanager
async def running(tmp_path: Path, listen: str) -> AsyncIterator[asyncio.subprocess.Process]:
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "sample.toml").write_text(f'[sample]\nlisten = "{listen}"\n')
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(tmp_path / "service.py"),
        "--config",
        str(tmp_path / "sample.toml"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line_with(process: asyncio.subprocess.Process, word: bytes) -> None:
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while word not in (line := await process.stderr.readline()):
            assert line, "the process ended"


async def test_a_request_under_way_is_finished_before_the_process_ends(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    async with running(tmp_path, url.removeprefix("http://")) as process, aiohttp.ClientSession() as session:
        await line_with(process, b"listening")
        async with session.get(f"{url}/readyz") as not_ready:
            assert (await json_of(not_ready, 503))["detail"] == "the store is closed"
        async with session.post(f"{url}/slow") as answer:
            assert await answer.content.readexactly(6) == b"begun "
            async with session.get(f"{url}/readyz") as ready:
                assert ready.status == 200
            process.send_signal(signal.SIGTERM)
            await line_with(process, b"draining")
            process.send_signal(signal.SIGUSR1)
            assert await answer.content.read() == b"done"
        async with asyncio.timeout(20):
            assert await process.wait() == 0
        assert process.stdout is not None
        assert await process.stdout.read() == b"closed\n"


async def test_unusable_settings_end_the_process_with_one_clear_line(tmp_path: Path) -> None:
    async with running(tmp_path, "127.0.0.1:1") as process:
        pass
    (tmp_path / "sample.toml").write_text("[sample]\nlisten = 1\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(tmp_path / "service.py"),
        "--config",
        str(tmp_path / "sample.toml"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await process.communicate()
    assert process.returncode == 2
    assert b"listen" in stderr
    assert b"Traceback" not in stderr
