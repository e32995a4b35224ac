"""`popreel status`: processes, memory, job queue, PoPs as the control plane sees them."""

from __future__ import annotations

import asyncio
import time
import tomllib
from typing import Any

import asyncpg
import msgspec
from rich.table import Table

from foundation.errors import PopreelError
from foundation.wire.pops import PopView
from popreel.commands.context import Context
from popreel.commands.memory import memory_bytes
from popreel.commands.services import open_services
from popreel.launcher.state_file import Phase, PlatformState, UnitPhase

_MIB = 1024 * 1024
_STYLE = {UnitPhase.READY: "green", UnitPhase.STOPPED: "dim"}


class QueueDepth(msgspec.Struct, kw_only=True, rename="camel"):
    """Jobs of one kind in one state."""

    kind: str
    state: str
    jobs: int


class Status(msgspec.Struct, kw_only=True, rename="camel"):
    """What --json prints."""

    phase: str
    urls: dict[str, str]
    up_s: float
    processes: list[dict[str, Any]]
    memory_bytes: int
    """Of all processes together, shared pages counted once."""
    queue: list[QueueDepth] | None
    """None: the database does not answer."""
    pops: list[PopView] | None
    """None: the control plane does not answer."""


async def gather_status(context: Context) -> Status:
    """Ask everybody. Raises NotRunning; what does not answer is None in the result."""
    state = context.running()
    queue, pops = await asyncio.gather(_queue(context), _pops(context)) if _is_up(state) else (None, None)
    pids = [unit.pid for unit in state.units if unit.pid] + [state.supervisor_pid]
    memory = memory_bytes(pids)
    processes = [
        {
            "name": unit.name,
            "phase": str(unit.phase),
            "pid": unit.pid,
            "address": unit.address,
            "memoryBytes": memory.get(unit.pid or 0, 0),
            "restarts": unit.restarts,
            "lastExit": unit.last_exit,
            "log": unit.log,
        }
        for unit in state.units
    ]
    return Status(
        phase=str(state.phase),
        urls=state.urls,
        up_s=round(time.time() - state.started_ms / 1000, 1),
        processes=processes,
        memory_bytes=memory[state.supervisor_pid],  # the supervisor's tree holds them all
        queue=queue,
        pops=pops,
    )


def _is_up(state: PlatformState) -> bool:
    return state.phase is Phase.READY


async def _queue(context: Context) -> list[QueueDepth] | None:
    config = tomllib.loads((context.folder.run / "origin.toml").read_text("utf-8"))
    found: dict[tuple[str, str], int] = {}
    try:
        for server in config["origin"]["postgres"]:
            connection = await asyncpg.connect(server["dsn"], timeout=5)
            try:
                rows = await connection.fetch("select kind, state, count(*) as jobs from jobs group by kind, state")
            finally:
                await connection.close()
            for row in rows:
                key = (row["kind"], row["state"])
                found[key] = found.get(key, 0) + row["jobs"]
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return None
    return [QueueDepth(kind=kind, state=state, jobs=jobs) for (kind, state), jobs in sorted(found.items())]


async def _pops(context: Context) -> list[PopView] | None:
    try:
        async with open_services(context) as services:
            url = f"{services.urls['control-plane']}/api/v1/pops"
            return await services.call("GET", url, bearer=services.operator_key, reply=list[PopView])
    except PopreelError:
        return None


def print_status(context: Context, status: Status) -> None:
    """For people."""
    out = context.out
    out.print(f"popreel is [bold]{status.phase}[/], up {_duration(status.up_s)}, data in {context.folder.root}")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column, justify in (("process", "left"), ("state", "left"), ("address", "left"), ("pid", "right")):
        table.add_column(column, justify="right" if justify == "right" else "left")
    table.add_column("memory", justify="right")
    table.add_column("restarts", justify="right")
    for process in status.processes:
        style = _STYLE.get(UnitPhase(process["phase"]), "yellow")
        restarts = f"{process['restarts']} ({process['lastExit']})" if process["restarts"] else "0"
        memory = f"{process['memoryBytes'] / _MIB:.0f} MiB"
        table.add_row(
            process["name"],
            f"[{style}]{process['phase']}[/]",
            process["address"],
            str(process["pid"] or "-"),
            memory,
            restarts,
        )
    table.add_row("[bold]all[/]", "", "", "", f"[bold]{status.memory_bytes / _MIB:.0f} MiB[/]", "")
    out.print(table)
    out.print(f"jobs: {_queue_line(status.queue)}")
    for pop in status.pops or []:
        beat = pop.heartbeat
        out.print(
            f"PoP {pop.pop_id}: {pop.state}, {beat.catalogue_videos} videos at sequence {beat.catalogue_seq}, "
            f"cache {beat.cache_used_bytes / _MIB:.0f} MiB, hit ratio {beat.cache_hit_ratio:.2f}, "
            f"{beat.spooled_events} events waiting",
            soft_wrap=True,
        )
    if status.pops is None:
        out.print("[yellow]the control plane does not answer[/]")


def _queue_line(queue: list[QueueDepth] | None) -> str:
    if queue is None:
        return "[yellow]the database does not answer[/]"
    return ", ".join(f"{depth.jobs} {depth.kind} {depth.state}" for depth in queue) or "none waiting"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"
