"""Edge delivery against its peers, side by side in one run: `python -m bench.edge` (or `make bench-edge`).

Each server runs alone on core 0, wrk on core 1. The edge has everything on: signed URLs, Cache-Status, metrics,
access log. nginx is Debian's with proxy_cache, sendfile, tcp_nopush, a buffered access log and no signing. Runs are
paired (peer, edge, peer, edge ...) and ratios are medians of the pairs, since the machine may be shared. Where
others use the cores too, trust "per CPU second": requests over the CPU time the server's process took, which others
cannot take from it.

    python -m bench.edge [--pairs 5] [--seconds 3] [--sizes 2kB,2kB-viewers,mixed ...] [--all-peers] [--json FILE]

The workloads are described in `bench/_edge_load.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench._edge_load import KEYS, Workload, lua, make_files, paths, workload
from edge.delivery.settings import DeliverySettings
from foundation.settings import GIB, MIB, Secret

SERVER_CORE, CLIENT_CORE = "0", "1"
CONNECTIONS = 32
ROWS = ("2kB", "2kB-viewers", "2kB-new", "200kB", "200kB-viewers", "200kB-new", "1MB", "mixed", "mixed-viewers")
LINE = (
    "{workload:13} {server:18} {requests_per_s:>7} req/s  p99 {p99_ms:>7} ms  errors {errors}  "
    "{requests_per_cpu_s:>7} req/CPU-s  edge/this {edge_ratio:>5}  per CPU-s {edge_ratio_cpu:>5}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    requests_per_s: float
    p99_ms: float
    errors: int
    requests_per_cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    name: str
    start: Callable[[Path, int, int], subprocess.Popen[bytes]]
    """(work folder, origin port, own port) -> running server"""
    signed: bool = False


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# -- servers ---------------------------------------------------------------------------------------------------------


def pinned(core: str, command: list[str], **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["taskset", "-c", core, *command], **options)  # type: ignore[call-overload,no-any-return]


def start_origin(work: Path, port: int) -> subprocess.Popen[bytes]:
    """nginx serving the files with ETag and an hour of freshness; idle while hits are measured."""
    return start_nginx(
        work / "origin",
        CLIENT_CORE,
        f"server {{ listen 127.0.0.1:{port}; root {work / 'files'}; add_header Cache-Control 'public, max-age=3600';"
        " types { application/vnd.apple.mpegurl m3u8; video/mp4 mp4; } access_log off; }",
    )


def start_nginx_proxy(work: Path, origin_port: int, port: int) -> subprocess.Popen[bytes]:
    folder = work / "nginx"
    return start_nginx(
        folder,
        SERVER_CORE,
        f"proxy_cache_path {folder / 'cache'} levels=2 keys_zone=c:32m max_size=4g inactive=1h use_temp_path=off;"
        "log_format short '$remote_addr $time_iso8601 $request $status $body_bytes_sent $upstream_cache_status';"
        f"server {{ listen 127.0.0.1:{port}; access_log {folder / 'access.log'} short buffer=256k flush=1s;"
        f"location / {{ proxy_pass http://127.0.0.1:{origin_port}; proxy_cache c; proxy_cache_lock on;"
        " proxy_http_version 1.1; proxy_set_header Connection ''; add_header Cache-Status $upstream_cache_status; }}",
    )


def start_nginx(folder: Path, core: str, http: str) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; master_process off; worker_processes 1; pid {folder / 'pid'};"
        f"error_log {folder / 'error.log'}; events {{ worker_connections 4096; multi_accept on; }}"
        " http { sendfile on; tcp_nopush on; tcp_nodelay on;"
        " keepalive_requests 100000000; open_file_cache max=10000 inactive=60s; open_file_cache_valid 60s;"
        f" client_body_temp_path {folder / 'body'}; proxy_temp_path {folder / 'proxy'};"
        f" fastcgi_temp_path {folder / 'f'}; uwsgi_temp_path {folder / 'u'}; scgi_temp_path {folder / 's'}; {http} }}"
    )
    return pinned(core, ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)


def start_edge(work: Path, origin_port: int, port: int) -> subprocess.Popen[bytes]:
    settings = DeliverySettings(
        origins=(f"http://127.0.0.1:{origin_port}",),
        cache_dir=work / "edge",
        ram_bytes=512 * MIB,
        disk_bytes=4 * GIB,
        require_token=True,
        media_keys={kid: Secret(key.decode()) for kid, key in KEYS.items()},
    )
    log = (work / "edge.log").open("wb")
    command = [sys.executable, "-m", "edge.delivery.standalone", "--worker", "0", "--listen", f"127.0.0.1:{port}"]
    process = pinned(SERVER_CORE, [*command, "--admin", f"127.0.0.1:{free_port()}"], stdin=subprocess.PIPE, stderr=log)
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(settings, enc_hook=str))
    process.stdin.close()
    return process


def start_aiohttp_files(work: Path, origin_port: int, port: int) -> subprocess.Popen[bytes]:
    code = (
        "import uvloop,sys;from aiohttp import web;uvloop.install();a=web.Application();"
        "a.router.add_static('/', sys.argv[1]);web.run_app(a,host='127.0.0.1',port=int(sys.argv[2]),access_log=None)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(work / "files"), str(port)]
    return pinned(SERVER_CORE, command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def start_varnish(work: Path, origin_port: int, port: int) -> subprocess.Popen[bytes]:
    command = ["varnishd", "-F", "-n", str(work / "varnish"), "-a", f"127.0.0.1:{port}", "-s", "malloc,512m"]
    command += ["-b", f"127.0.0.1:{origin_port}", "-p", "thread_pools=1", "-j", "none"]
    return pinned(SERVER_CORE, command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


EDGE = Peer(name="popreel edge", start=start_edge, signed=True)
NGINX = Peer(name="nginx proxy_cache", start=start_nginx_proxy)
VARNISH = Peer(name="varnish", start=start_varnish)
AIOHTTP = Peer(name="aiohttp files", start=start_aiohttp_files)


@contextlib.contextmanager
def running(process: subprocess.Popen[bytes], port: int) -> Iterator[None]:
    try:
        _wait_for(port, process)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"a server did not start on port {port}: {process.args!r}")


# -- load ------------------------------------------------------------------------------------------------------------


def warm(port: int, load: Workload, peer: Peer) -> None:
    """Fetch all there is twice, by who takes gzip and by who does not, so that only hits are measured."""
    for path in [*paths(load, signed=peer.signed)] * 2:
        for coding in ("identity", "gzip"):
            asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept-Encoding": coding})
            with urllib.request.urlopen(asked, timeout=20) as answer:
                answer.read()


def wrk(port: int, load: Workload, peer: Peer, *, pid: int, seconds: int, work: Path) -> Measured:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    if script := lua(load, signed=peer.signed):
        (work / "requests.lua").write_text(script)
        command += ["-s", str(work / "requests.lua")]
    url = f"http://127.0.0.1:{port}{next(paths(load, signed=peer.signed))}"
    before = cpu_s(pid)
    done = subprocess.run(
        ["taskset", "-c", CLIENT_CORE, *command, url], capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    return parse_wrk(done.stdout, cpu_s=cpu_s(pid) - before)


def cpu_s(pid: int) -> float:
    """User and system time of a process, its threads and its children, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu_s(int(child)) for child in children)


_UNIT_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def parse_wrk(text: str, *, cpu_s: float) -> Measured:
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", text)
    p99 = re.search(r"99%\s+([0-9.]+)(us|ms|s)", text)
    bad = re.search(r"Non-2xx or 3xx responses: ([0-9]+)", text)
    total = re.search(r"([0-9]+) requests in", text)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    assert rate, text
    assert total, text
    errors = (int(bad[1]) if bad else 0) + (sum(map(int, sockets.groups())) if sockets else 0)
    return Measured(
        requests_per_s=float(rate[1]),
        p99_ms=float(p99[1]) * _UNIT_MS[p99[2]] if p99 else 0.0,
        errors=errors,
        requests_per_cpu_s=int(total[1]) / max(cpu_s, 0.01),
    )


def measure_pairs(
    work: Path, load: Workload, peers: list[Peer], *, pairs: int, seconds: int, origin_port: int
) -> dict[str, list[Measured]]:
    """Runs of every peer, taken in turns; all are up, those not measured are idle."""
    with contextlib.ExitStack() as stack:
        ports: dict[str, int] = {}
        pids: dict[str, int] = {}
        for peer in peers:
            ports[peer.name] = port = free_port()
            folder = Path(tempfile.mkdtemp(prefix=f"{peer.name.split()[0]}-", dir=work))
            (folder / "files").symlink_to(work / "files")
            process = peer.start(folder, origin_port, port)
            pids[peer.name] = process.pid
            stack.enter_context(running(process, port))
            warm(port, load, peer)
            wrk(port, load, peer, pid=process.pid, seconds=1, work=work)
        found: dict[str, list[Measured]] = {peer.name: [] for peer in peers}
        for _ in range(pairs):
            for peer in peers:
                port, pid = ports[peer.name], pids[peer.name]
                found[peer.name].append(wrk(port, load, peer, pid=pid, seconds=seconds, work=work))
        return found


def ratio(found: dict[str, list[Measured]], peer: Peer, figure: Callable[[Measured], float]) -> float:
    """Median over pairs of the edge's figure over the peer's."""
    pairs = zip(found[EDGE.name], found[peer.name], strict=True)
    return round(statistics.median(figure(ours) / figure(theirs) for ours, theirs in pairs), 2)


def report(load: Workload, found: dict[str, list[Measured]], peers: list[Peer]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for peer in peers:
        runs = found[peer.name]
        rows.append(
            {
                "workload": load.name,
                "server": peer.name,
                "requests_per_s": round(statistics.median(run.requests_per_s for run in runs)),
                "p99_ms": round(statistics.median(run.p99_ms for run in runs), 2),
                "errors": sum(run.errors for run in runs),
                "requests_per_cpu_s": round(statistics.median(run.requests_per_cpu_s for run in runs)),
                "edge_ratio": ratio(found, peer, lambda run: run.requests_per_s),
                "edge_ratio_cpu": ratio(found, peer, lambda run: run.requests_per_cpu_s),
            }
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--sizes", default=",".join(ROWS))
    parser.add_argument("--all-peers", action="store_true", help="also varnish (if installed) and aiohttp files")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    for tool in ("nginx", "wrk", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is needed: apt install nginx-light wrk util-linux")
    loads = [workload(name) for name in options.sizes.split(",")]
    peers = [NGINX, EDGE]
    if options.all_peers:
        peers += [AIOHTTP] + ([VARNISH] if shutil.which("varnishd") else [])
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="popreel-bench-edge-") as folder:
        work = Path(folder)
        make_files(work / "files")
        origin_port = free_port()
        with running(start_origin(work, origin_port), origin_port):
            for load in loads:
                found = measure_pairs(
                    work, load, peers, pairs=options.pairs, seconds=options.seconds, origin_port=origin_port
                )
                rows += (fresh := report(load, found, peers))
                for row in fresh:
                    print(LINE.format(**row), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
