"""Misses and endurance of the edge: `python -m bench.edge_miss` (or `make bench-edge-miss`).

first byte      median time to the first byte of a miss through the edge over the same object straight from the
                origin (nginx), in pairs; the budget is 1.2. Each object is asked for once, so every one is a miss.
                nginx proxy_cache does the same beside it.
collapse        1000 concurrent misses of one object against a counting origin: how often was each slice fetched
soak            [--soak SECONDS] wrk on a working set larger than the RAM tier: resident memory at start and end

    python -m bench.edge_miss [--objects 100] [--soak 60 [--pace-ms 20]] [--only soak]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec
import uvloop

from bench.edge import CLIENT_CORE, SERVER_CORE, free_port, pinned, running, start_nginx_proxy, start_origin
from edge.delivery.lab.raw_client import RawClient
from edge.delivery.lab.scripted_origin import Asked, Reply, ScriptedOrigin, file_reply, scripted_origin
from edge.delivery.settings import DeliverySettings
from foundation.settings import GIB, MIB

OBJECT_BYTES = 400_000
SOAK_OBJECTS = 400
RAM_BYTES = 64 * MIB


def start_edge(work: Path, origin_url: str, port: int, *, ram_bytes: int = 256 * MIB) -> subprocess.Popen[bytes]:
    settings = DeliverySettings(
        origins=(origin_url,), cache_dir=work / "edge", ram_bytes=ram_bytes, disk_bytes=GIB, stalled_client_s=120
    )
    command = [sys.executable, "-m", "edge.delivery.standalone", "--worker", "0", "--listen", f"127.0.0.1:{port}"]
    process = pinned(SERVER_CORE, command, stdin=subprocess.PIPE, stderr=(work / "edge.log").open("wb"))
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(settings, enc_hook=str))
    process.stdin.close()
    return process


def first_byte_ms(line: socket.socket, path: str) -> float:
    """Time from sending the request to the first byte of the body, on an open connection; reads the rest."""
    began = time.perf_counter()
    line.sendall(f"GET {path} HTTP/1.1\r\nHost: b\r\n\r\n".encode())
    got = b""
    while b"\r\n\r\n" not in got or got.endswith(b"\r\n\r\n"):
        got += line.recv(65536)
    took = time.perf_counter() - began
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(next(row for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")).split(b":")[1])
    left = length - len(body)
    while left:
        left -= len(line.recv(min(left, 1 << 20)))
    return took * 1000


async def serve_slow_origin(port: int, delay_s: float) -> None:
    """An origin `delay_s` away, in a process of its own: it must not hold up the one that measures."""
    body = os.urandom(OBJECT_BYTES)

    async def answer(asked: Asked) -> Reply:
        if delay_s:
            await asyncio.sleep(delay_s)
        return file_reply(asked, body, etag='"v"')

    origin = ScriptedOrigin()
    origin.script = answer
    await origin.start(port)
    await asyncio.Event().wait()


def start_slow_origin(port: int, delay_ms: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench.edge_miss", "--serve-origin", str(port), "--delay-ms", str(delay_ms)]
    return pinned(CLIENT_CORE, command)


def measure_first_byte(work: Path, objects: int, delay_ms: int) -> None:
    origin_port, edge_port, nginx_port = free_port(), free_port(), free_port()
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(start_slow_origin(origin_port, delay_ms), origin_port))
        stack.enter_context(running(start_edge(work, f"http://127.0.0.1:{origin_port}", edge_port), edge_port))
        stack.enter_context(running(start_nginx_proxy(work, origin_port, nginx_port), nginx_port))
        ports = {"origin": origin_port, "edge": edge_port, "nginx": nginx_port}
        lines = {name: socket.create_connection(("127.0.0.1", port)) for name, port in ports.items()}
        taken: dict[str, list[float]] = {name: [] for name in lines}
        for number in range(objects):
            for name, line in lines.items():
                taken[name].append(first_byte_ms(line, f"/videos/o{number}.mp4"))
        for line in lines.values():
            line.close()
    for name, times in taken.items():
        ratio = statistics.median(ours / theirs for ours, theirs in zip(times, taken["origin"], strict=True))
        median = statistics.median(times)
        print(f"first byte of a miss, origin {delay_ms} ms away: {name:6} {median:7.2f} ms  x{ratio:.2f}")


async def measure_collapse(work: Path) -> None:
    body = os.urandom(4_000_000)
    async with scripted_origin() as origin:
        origin.script = lambda asked: file_reply(asked, body, etag='"v"')
        port = free_port()
        with running(start_edge(work, origin.url, port), port):

            async def one() -> bool:
                async with RawClient(port) as client:
                    return (await client.get("/v.mp4")).body == body

            right = await asyncio.gather(*(one() for _ in range(1000)))
        fetched = Counter(asked.headers.get("Range", "whole") for asked in origin.asked)
    most = max(fetched.values())
    print(f"1000 concurrent misses: {sum(right)} right, {len(fetched)} slices, most fetches of one: {most}")


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


SOAK_LUA = """
math.randomseed(%d)
request = function()
  return wrk.format("GET", "/videos/s" .. math.floor(%d * math.random() ^ 2) .. ".mp4")
end
delay = function()
  return %d
end
"""


def soak(work: Path, seconds: int, pace_ms: int) -> None:
    """Resident memory of the edge, once a tenth of the time, while it serves more than its RAM tier holds."""
    videos = work / "files" / "videos"
    videos.mkdir(parents=True, exist_ok=True)
    for number in range(SOAK_OBJECTS):
        (videos / f"s{number}.mp4").write_bytes(os.urandom(OBJECT_BYTES))
    origin_port, port = free_port(), free_port()
    edge = start_edge(work, f"http://127.0.0.1:{origin_port}", port, ram_bytes=RAM_BYTES)
    with running(start_origin(work, origin_port), origin_port), running(edge, port):
        _soak_load(work, port, max(5, seconds // 10), pace_ms, seed=1)  # fill the tiers
        resident, sent, troubles = [resident_mb(edge.pid)], 0, ""
        for step in range(10):
            text = _soak_load(work, port, seconds // 10, pace_ms, seed=2 + step)
            resident.append(resident_mb(edge.pid))
            sent += int(text.partition(" requests in ")[0].split()[-1])
            troubles += "".join(line for line in text.splitlines() if "errors" in line or "Non-2xx" in line)
    print(
        f"soak {seconds} s, {OBJECT_BYTES * SOAK_OBJECTS / 1e6:.0f} MB working set, {RAM_BYTES / 1e6:.0f} MB of RAM, "
        f"{sent} requests: resident MB {' '.join(f'{size:.0f}' for size in resident)}; {troubles or 'no errors'}"
    )


def _soak_load(work: Path, port: int, seconds: int, pace_ms: int, *, seed: int) -> str:
    (work / "soak.lua").write_text(SOAK_LUA % (seed, SOAK_OBJECTS, pace_ms))
    command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", "-c64", f"-d{seconds}s", "-s", str(work / "soak.lua")]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True)
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=100)
    parser.add_argument("--soak", type=int, default=0, help="seconds; 600 for the issue's ten minutes")
    parser.add_argument("--pace-ms", type=int, default=0, help="pause of each of the 64 connections of the soak")
    parser.add_argument("--only", choices=("first_byte", "collapse", "soak"), help="one part")
    parser.add_argument("--serve-origin", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--delay-ms", type=float, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_origin:
        uvloop.run(serve_slow_origin(options.serve_origin, options.delay_ms / 1000))
        return 0
    os.sched_setaffinity(0, {int(CLIENT_CORE)})  # the clock of these measurements shall not wander
    for part in (options.only,) if options.only else ("first_byte", "collapse", "soak"):
        with tempfile.TemporaryDirectory(prefix="popreel-bench-miss-") as folder:
            work = Path(folder)
            if part == "first_byte":
                for delay_ms in (0, 1, 5, 20):
                    (work / str(delay_ms)).mkdir()
                    measure_first_byte(work / str(delay_ms), options.objects, delay_ms)
            elif part == "collapse":
                asyncio.run(measure_collapse(work))
            elif options.soak:
                soak(work, options.soak, options.pace_ms)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
