"""`python -m bench.contract [--examples N] [--seconds S] [--only NAME]`: Schemathesis in depth on all four documents.

The tests do the same with a few examples per operation; here it is as long as you like. Every check is on. Fails with
the report if one does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from popreel.embedded.object_store import EmbeddedObjectStore, InnerPorts
from popreel.embedded.ports import GRPC_OFFSET, free_ports
from popreel.embedded.postgres import EmbeddedPostgres
from popreel.embedded.server import EmbeddedServer
from popreel.embedded.valkey import EmbeddedValkey
from popreel.lab.throwaway import ThrowawayPlatform
from tests.origin_contract import origin_probe
from tests.origin_harness import one_server, origin_settings, running
from tests.platform_contract import platform_probes
from tests.schema_probe import Probe, run_probe

NAMES = ("origin", "local-1", "control-plane", "cdn-router")


async def probe_origin(folder: Path, depth: Probe) -> str:
    """An origin on servers of its own, with a quick encoder."""
    s3, *inner = free_ports(5, also=(GRPC_OFFSET,))
    ports = InnerPorts(master=inner[0], volume=inner[1], filer=inner[2], admin=inner[3])
    sql, hot = free_ports(2)  # at once: two calls may give the same
    postgres = EmbeddedPostgres(data_dir=folder / "pg", log_file=folder / "pg.log", port=sql)
    valkey = EmbeddedValkey(data_dir=folder / "valkey", log_file=folder / "valkey.log", port=hot)
    objects = EmbeddedObjectStore(
        data_dir=folder / "s3", log_file=folder / "s3.log", port=s3, inner_ports=ports, buckets=("contract",)
    )
    servers: tuple[EmbeddedServer, ...] = (postgres, valkey, objects)
    async with AsyncExitStack() as stack:
        for server in servers:
            await server.start()
            stack.push_async_callback(server.stop)
            await server.ready()
        dsn = await postgres.create_database("contract")
        settings = origin_settings(folder, one_server(dsn), valkey.endpoint, objects.access("contract"))
        origin = await stack.enter_async_context(running(settings))
        return await run_probe(_as_deep(await origin_probe(origin), depth), folder)


def probe_platform(folder: Path, names: list[str], depth: Probe) -> bool:
    """Whether all of them keep their contract."""
    platform = ThrowawayPlatform(folder / "platform")
    platform.start()
    try:
        probes = platform_probes(platform)
        kept = [_reported(name, run_probe(_as_deep(probes[name], depth), folder)) for name in names]
    finally:
        platform.stop()
    return all(kept)


def _reported(name: str, run: Coroutine[Any, Any, str]) -> bool:
    """Say how a run ended; one that failed does not keep the others from being made."""
    print(f"== {name}", flush=True)
    try:
        print(_summary(asyncio.run(run)), flush=True)
    except AssertionError as err:
        print(err, flush=True)
        return False
    return True


def _as_deep(probe: Probe, depth: Probe) -> Probe:
    return replace(probe, examples=depth.examples, seed=depth.seed, max_time_s=depth.max_time_s)


def _summary(report: str) -> str:
    return report[report.rfind("= SUMMARY =") :]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.contract")
    parser.add_argument("--examples", type=int, default=50, help="per operation")
    parser.add_argument("--seconds", type=int, help="bound of each service's run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=NAMES, action="append")
    arguments = parser.parse_args()
    names = arguments.only or list(NAMES)
    depth = Probe(url="", examples=arguments.examples, seed=arguments.seed, max_time_s=arguments.seconds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = "origin" not in names or _reported("origin", probe_origin(folder, depth))
        others = [name for name in names if name != "origin"]
        kept = (not others or probe_platform(folder, others, depth)) and kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
