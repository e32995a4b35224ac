"""The command by itself: one worker, its admin port, a clean end."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import aiohttp

from edge.delivery.lab.scripted_origin import Asked, Reply, file_reply


def script(asked: Asked) -> Reply:
    return file_reply(asked, b"x" * 50_000, etag='"v"', headers={"Surrogate-Key": "video-1"})


async def test_serve_purge_measure_and_end(origin, tmp_path):
    origin.script = script
    command = [sys.executable, "-m", "edge.delivery.standalone", "--origin", origin.url, "--listen", "127.0.0.1:0"]
    command += ["--cache-dir", str(tmp_path), "--ram", "32MiB", "--admin", "127.0.0.1:0"]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        lines = await _lines_until(process, "listening")
        edge, admin = f"http://{lines[-1]['listen']}", f"http://{lines[-1]['admin']}"
        async with aiohttp.ClientSession() as session:
            for _ in range(3):
                async with session.get(f"{edge}/v.mp4") as got:
                    assert len(await got.read()) == 50_000
            async with session.post(f"{admin}/purges", json={"tags": ["video-1"]}) as got:
                assert await got.json() == {"purges": 1, "touched": 1}
            async with session.post(f"{admin}/purges", data=b"nonsense") as got:
                assert got.status == 400
            async with session.get(f"{edge}/v.mp4") as got:
                assert "fwd=uri-miss" in got.headers["Cache-Status"]
            async with session.get(f"{admin}/metrics") as got:
                text = await got.text()
        assert 'edge_requests_total{lane="fast",outcome="hit",status_class="2xx"} 2.0' in text
        assert 'edge_requests_total{lane="slow",outcome="miss_purged",status_class="2xx"} 1.0' in text
    finally:
        process.send_signal(signal.SIGTERM)
        _, rest = await process.communicate()
    assert process.returncode == 0
    access = [json.loads(line) for line in rest.splitlines() if b'"access"' in line]
    assert access == [] or "fast_hit" in access[-1] or "miss_purged_2xx" in access[-1]


async def test_unusable_settings_end_with_one_line(origin):
    for arguments in (
        ["--origin", "ftp://x"],
        ["--origin", origin.url, "--workers", "2"],
        ["--origin", origin.url, "--listen", "x"],
    ):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edge.delivery.standalone", *arguments, stderr=asyncio.subprocess.PIPE
        )
        _, text = await process.communicate()
        assert process.returncode == 2
        assert text.startswith(b"edge: ")
        assert text.count(b"\n") == 1


async def _lines_until(process: asyncio.subprocess.Process, event: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    async with asyncio.timeout(30):
        while not found or found[-1].get("event") != event:
            line = await process.stderr.readline()
            assert line, "the edge ended"
            found.append(json.loads(line))
    return found
