"""The edge by itself, in front of any origin: `popreel edge --origin URL --listen HOST:PORT --cache-dir DIR`.

One process per worker; all listen on one port (SO_REUSEPORT) and share the cache directory. The first process is only a
watchman: it starts the workers, starts a dead one again, and passes the signal to stop on.

With `--admin HOST:PORT` worker n serves on PORT+n: POST /purges (a PurgeRequest), GET /metrics, /healthz.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvloop
from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from edge.delivery.access_log import AccessLog
from edge.delivery.delivery import Delivery
from edge.delivery.lane.server import serve_edge
from edge.delivery.metrics import DeliveryMetrics
from edge.delivery.settings import DeliverySettings
from foundation.errors import BadInput, SettingsError
from foundation.http.server import parse_listen, stop_signal
from foundation.settings import GIB, KIB, MIB, Secret
from foundation.telemetry import logs
from foundation.telemetry.metrics import new_registry
from foundation.wire.pops import PurgeOrder, PurgeRequest

_log = logging.getLogger(__name__)
RESTART_PAUSE_S = 0.5
_UNITS = {"": 1, "b": 1, "kib": KIB, "mib": MIB, "gib": GIB, "kb": 1000, "mb": 1000**2, "gb": 1000**3}


def parse_size(text: str) -> int:
    """Bytes of "256MiB", "20GiB", "1048576". Raises BadInput."""
    match = re.fullmatch(r"([0-9]+)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise BadInput(f"{text!r} is not a size: write 256MiB or 20GiB")
    return int(match[1]) * _UNITS[match[2]]


def run_edge(
    *,
    origins: Sequence[str],
    listen: str,
    cache_dir: Path | None,
    ram_bytes: int = 256 * MIB,
    disk_bytes: int = 20 * GIB,
    workers: int = 1,
    admin: str | None = None,
    media_keys: dict[str, Secret] | None = None,
    require_token: bool = False,
    log_level: str = "INFO",
) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code. Blocks. Raises SettingsError, BadInput, OSError."""
    logs.configure("edge", level=log_level)
    settings = DeliverySettings(
        origins=tuple(origins),
        cache_dir=cache_dir,
        ram_bytes=ram_bytes,
        disk_bytes=disk_bytes,
        workers=workers,
        media_keys=media_keys or {},
        require_token=require_token,
    )
    parse_listen(listen)
    if workers == 1:
        uvloop.run(serve_worker(settings, listen=listen, admin=admin, slot=0))
        return 0
    if cache_dir is None:
        raise SettingsError("several workers share their cache on disk: give a cache directory")
    return _watch(settings, listen=listen, admin=admin)


async def serve_worker(settings: DeliverySettings, *, listen: str, admin: str | None, slot: int) -> None:
    """One worker, until it is told to stop."""
    stop = stop_signal()
    host, port = parse_listen(listen)
    async with contextlib.AsyncExitStack() as stack:
        delivery = await Delivery.open(settings, slot=slot)
        stack.push_async_callback(delivery.close)
        access_log = AccessLog(delivery.tally)
        stack.push_async_callback(access_log.close)
        if admin is not None:
            runner = web.AppRunner(admin_app(delivery), access_log=None)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            admin_host, admin_port = parse_listen(admin)
            await web.TCPSite(runner, admin_host, admin_port + slot if admin_port else 0).start()
            admin = "{}:{}".format(*runner.addresses[0][:2])
        server = await serve_edge(delivery, host=host, port=port, reuse_port=settings.workers > 1)
        stack.push_async_callback(server.close)
        gc.freeze()  # what is here now stays: no collection need look at it again
        _log.info(
            "listening", extra={"event": "listening", "listen": f"{host}:{server.port}", "admin": admin, "slot": slot}
        )
        await stop.wait()
        _log.info("draining", extra={"event": "draining", "slot": slot})


def admin_app(delivery: Delivery) -> web.Application:
    """Purges and figures of one worker; a purge reaches the others before it is answered."""
    registry = new_registry()
    DeliveryMetrics(delivery).register(registry)

    async def purge(request: web.Request) -> web.Response:
        try:
            wanted = msgspec.json.decode(await request.read(), type=PurgeRequest)
            orders = [PurgeOrder(seq=0, url=url, soft=wanted.soft) for url in wanted.urls]
            orders += [PurgeOrder(seq=0, prefix=prefix, soft=wanted.soft) for prefix in wanted.prefixes]
            orders += [PurgeOrder(seq=0, tag=tag, soft=wanted.soft) for tag in wanted.tags]
            results = [await delivery.purge(order) for order in orders]
        except (msgspec.DecodeError, BadInput) as err:
            return web.json_response({"detail": str(err)}, status=400)
        removed = sum(result.removed + result.marked_stale for result in results)
        return web.json_response({"purges": len(results), "touched": removed})

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.router.add_post("/purges", purge)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    return app


# -- several workers -------------------------------------------------------------------------------------------------


def _watch(settings: DeliverySettings, *, listen: str, admin: str | None) -> int:
    """Keep `settings.workers` workers alive until told to stop."""
    stopping = False

    def stop(number: int, frame: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    document = msgspec.json.encode(settings, enc_hook=str).decode()
    running = {slot: _start_worker(slot, document, listen, admin) for slot in range(settings.workers)}
    while not stopping:
        time.sleep(0.1)
        for slot, process in running.items():
            if process.poll() is not None and not stopping:
                _log.error("a worker died", extra={"event": "worker_died", "slot": slot, "code": process.returncode})
                time.sleep(RESTART_PAUSE_S)
                running[slot] = _start_worker(slot, document, listen, admin)
    for process in running.values():
        process.terminate()
    for process in running.values():
        process.wait()
    return 0


def _start_worker(slot: int, document: str, listen: str, admin: str | None) -> subprocess.Popen[bytes]:
    """Settings go by stdin: a key in a command line would be seen by everybody on the machine."""
    command = [sys.executable, "-m", "edge.delivery.standalone", "--worker", str(slot), "--listen", listen]
    if admin is not None:
        command += ["--admin", admin]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=dict(os.environ))
    assert process.stdin is not None
    process.stdin.write(document.encode())
    process.stdin.close()
    return process


def _decode_special(kind: type, value: str) -> object:
    return Path(value) if issubclass(kind, Path) else Secret(value)


def _run_worker(slot: int, *, listen: str, admin: str | None) -> None:
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=DeliverySettings, dec_hook=_decode_special)
    logs.configure("edge")
    uvloop.run(serve_worker(settings, listen=listen, admin=admin, slot=slot))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m edge.delivery.standalone", description=__doc__)
    parser.add_argument("--origin", action="append", default=[], help="origin URL; again for fail-over regions")
    parser.add_argument("--listen", default="127.0.0.1:8090")
    parser.add_argument("--cache-dir", type=Path)
    parser.add_argument("--ram", type=parse_size, default=256 * MIB)
    parser.add_argument("--disk", type=parse_size, default=20 * GIB)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--admin")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        _run_worker(options.worker, listen=options.listen, admin=options.admin)
        return 0
    if not options.origin:
        parser.error("--origin is needed")
    try:
        return run_edge(
            origins=options.origin,
            listen=options.listen,
            cache_dir=options.cache_dir,
            ram_bytes=options.ram,
            disk_bytes=options.disk,
            workers=options.workers,
            admin=options.admin,
        )
    except (SettingsError, BadInput, OSError) as err:
        print(f"edge: {err}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
