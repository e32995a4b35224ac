"""Several workers on one cache directory and one port: shared bytes, purges that reach all, deaths without harm."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from edge.delivery.lab.raw_client import RawClient
from edge.delivery.lab.scripted_origin import file_reply
from foundation.wire.pops import PurgeOrder

BODY = random.Random(8).randbytes(300_000)


async def test_one_worker_serves_what_another_fetched(open_edge, origin, tmp_path):
    origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')
    one = await open_edge(cache_dir=tmp_path, workers=2, slot=0)
    two = await open_edge(cache_dir=tmp_path, workers=2, slot=1)
    await one.get("/v.mp4")
    await one.delivery.flush()
    seen = len(origin.asked)
    got = await two.get("/v.mp4")
    assert got.body == BODY
    assert len(origin.asked) == seen


async def test_a_purge_is_done_when_every_worker_has_applied_it(open_edge, origin, tmp_path):
    origin.script = lambda asked: file_reply(asked, BODY, etag='"v"', headers={"Cache-Tag": "video-1"})
    workers = [await open_edge(cache_dir=tmp_path, workers=3, slot=slot) for slot in range(3)]
    for worker in workers:
        await worker.get("/v.mp4")
        await worker.delivery.flush()
        assert "hit" in (await worker.get("/v.mp4")).headers["Cache-Status"]
    await workers[1].delivery.purge(PurgeOrder(seq=5, tag="video-1"))
    for worker in workers:
        assert worker.delivery.stats().purge_sequence == 5
        assert worker.delivery.store.index.get("/v.mp4") == ()


async def test_a_purge_does_not_wait_for_the_dead(open_edge, origin, tmp_path):
    origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')
    one = await open_edge(cache_dir=tmp_path, workers=2, slot=0)
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(tmp_path / "worker-1.sock"))
    dead.close()
    async with asyncio.timeout(30):
        await one.delivery.purge(PurgeOrder(seq=1, url="/v.mp4"))


async def test_uses_and_sizes_reach_the_owner(open_edge, origin, tmp_path):
    origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')
    one = await open_edge(cache_dir=tmp_path, workers=2, slot=0)
    two = await open_edge(cache_dir=tmp_path, workers=2, slot=1)
    await one.get("/v.mp4", range="bytes=0-9")
    await one.delivery.settled()
    await one.delivery.flush()
    await two.get("/v.mp4")
    await two.delivery.settled()
    await two.delivery.flush()
    two.delivery._workers.send_hints()
    await one.until(lambda: one.delivery._disk.used > 300_000)


async def test_a_killed_worker_is_replaced_and_the_port_stays_open(origin, tmp_path):
    """The real command with two workers; one is killed with SIGKILL under traffic."""
    origin.script = lambda asked: file_reply(asked, BODY, etag='"v"')
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "edge.delivery.standalone", "--origin", origin.url, "--workers", "2"]
    command += ["--listen", f"127.0.0.1:{port}", "--cache-dir", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        workers = [await _listening(process) for _ in range(2)]
        assert len(workers) == 2
        for _ in range(10):
            assert (await _get(port)).body == BODY
        children = await _children(process.pid)
        os.kill(children[0], signal.SIGKILL)
        await _listening(process)
        for _ in range(20):
            assert (await _get(port)).body == BODY
        assert children[0] not in await _children(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert process.returncode == 0


async def _get(port: int):
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        async with RawClient(port) as client:
            return await client.get("/v.mp4")
    async with RawClient(port) as client:  # it was on the worker that died
        return await client.get("/v.mp4")


async def _listening(process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(30):
        while b'"listening"' not in (line := await process.stderr.readline()):
            assert line, "the edge ended"


async def _children(pid: int) -> list[int]:
    text = await asyncio.to_thread(Path(f"/proc/{pid}/task/{pid}/children").read_text)
    return [int(child) for child in text.split()]
