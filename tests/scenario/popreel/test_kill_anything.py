"""Kill -9 any one process or embedded server while a video is uploaded, and again while it is processed.

Each comes back by itself, the video becomes ready, and in the end there is exactly one of everything.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from popreel.client.upload import Description, Outcome, Progress, Uploader
from popreel.embedded.process import ManagedProcess
from popreel.lab.throwaway import ThrowawayPlatform
from popreel.launcher.state_file import Phase, UnitPhase, read_state

SERVERS = ("postgres", "valkey", "object-store", "valkey-local-1")
SERVICES = ("origin", "worker-1", "local-1", "control-plane", "cdn-router")
USER = "survivor"


class Saboteur:
    """Kills its victim once when the upload is under way and once when the processing is."""

    def __init__(self, platform: ThrowawayPlatform, victim: str) -> None:
        self._platform = platform
        self._victim = victim
        self.killed: dict[str, int] = {}

    def watch(self, progress: Progress) -> None:
        moment = "processing" if progress.stage else "upload"
        early = progress.sent_bytes < progress.total_bytes or progress.stage
        if moment not in self.killed and early and self._platform.unit(self._victim).phase is UnitPhase.READY:
            self.killed[moment] = self._platform.kill(self._victim)


async def _upload(platform: ThrowawayPlatform, file: Path, title: str, saboteur: Saboteur) -> Outcome:
    token = platform.token(USER)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        uploader = Uploader(session=session, base_url=platform.pop_url, token=lambda: token)
        return await uploader.upload(file, Description(title=title), watch=saboteur.watch)


@pytest.mark.parametrize("victim", [*SERVERS, *SERVICES])
def test_a_killed_process_comes_back_and_the_upload_is_neither_lost_nor_doubled(
    platform: ThrowawayPlatform, make_clip: Callable[..., Path], victim: str
) -> None:
    saboteur = Saboteur(platform, victim)
    title = f"survived {victim}"
    outcome = asyncio.run(_upload(platform, make_clip("parts", megabytes=24), title, saboteur))
    assert outcome.ready, outcome
    assert "upload" in saboteur.killed
    unit = platform.wait_until_back(victim, not_pid=max(saboteur.killed.values()))
    assert unit.restarts >= len(saboteur.killed)
    assert unit.last_exit == "signal SIGKILL"
    assert asyncio.run(_rows(platform, title)) == ["ready"]


async def _rows(platform: ThrowawayPlatform, title: str) -> list[str]:
    """States of every video with that title, straight from the database."""
    config = tomllib.loads((platform.folder.run / "origin.toml").read_text())
    connection = await asyncpg.connect(config["origin"]["postgres"][0]["dsn"])
    try:
        rows = await connection.fetch("select state from videos where title = $1", title)
        return [row["state"] for row in rows]
    finally:
        await connection.close()


def test_no_job_is_left_and_none_was_given_up(platform: ThrowawayPlatform) -> None:
    """Afterwards: the higher rungs of the last clips may still be being made, nothing else."""
    assert asyncio.run(_jobs_left(platform, patience_s=60)) == []


async def _jobs_left(platform: ThrowawayPlatform, *, patience_s: float) -> list[tuple[str, ...]]:
    """Jobs that are not done after `patience_s`, or were given up: (kind, state, error)."""
    config = tomllib.loads((platform.folder.run / "origin.toml").read_text())
    connection = await asyncpg.connect(config["origin"]["postgres"][0]["dsn"])
    loop = asyncio.get_running_loop()
    give_up = loop.time() + patience_s
    try:
        while True:
            # Sweeps of what an upload leaves behind are due an hour later and do not count.
            rows = await connection.fetch(
                "select kind, state, error from jobs where run_at < now() + interval '10 minutes'"
            )
            if loop.time() > give_up or not rows:
                return [tuple(row.values()) for row in rows]
            await asyncio.sleep(0.2)  # nothing announces the end of all jobs
    finally:
        await connection.close()


def test_when_the_supervisor_is_killed_everything_ends_and_up_starts_anew(tmp_path: Path) -> None:
    platform = ThrowawayPlatform(tmp_path / "data")
    try:
        up = platform.popreel("up", "--detach")
        assert up.returncode == 0, up.stderr
        state = platform.state
        print(f"start-up from a warm environment: {(state.ready_ms - state.started_ms) / 1000:.1f} s")
        os.kill(state.supervisor_pid, signal.SIGKILL)
        again = platform.popreel("up", "--detach")
        assert again.returncode == 0, again.stderr
        assert platform.state.supervisor_pid != state.supervisor_pid
        old = {unit.pid for unit in state.units}
        assert not {pid for pid in old if pid and Path(f"/proc/{pid}").exists()}

        status = json.loads(platform.popreel("status", "--json").stdout)
        assert status["phase"] == Phase.READY
        assert {process["phase"] for process in status["processes"]} == {UnitPhase.READY}
        assert {pop["popId"] for pop in status["pops"]} == {"local-1", "local-2"}
        print(f"idle memory of all processes: {status['memoryBytes'] / 2**20:.0f} MiB")

        repeated = platform.popreel("up", "--detach")
        assert repeated.returncode == 0
        assert "already up" in repeated.stdout
        assert platform.pop_url in repeated.stdout
    finally:
        down = platform.popreel("down", "--wipe")
    assert down.returncode == 0, down.stderr
    assert not platform.folder.root.exists()
    assert platform.popreel("status").returncode == 1


def test_a_taken_port_fails_the_start_with_its_holder_and_leaves_nothing_running(tmp_path: Path) -> None:
    platform = ThrowawayPlatform(tmp_path / "data")
    program = f"import socket, time; s = socket.create_server(('127.0.0.1', {platform.ports.origin})); time.sleep(600)"
    squatter = ManagedProcess.spawn(
        ["/usr/bin/env", "python3", "-c", program], name="squatter", log_file=tmp_path / "s.log", cwd=tmp_path
    )
    try:
        _until_listening(platform.ports.origin)
        up = platform.popreel("up", "--detach")
    finally:
        squatter.send(signal.SIGKILL)
        asyncio.run(squatter.wait())
    assert up.returncode == 1
    assert f"127.0.0.1:{platform.ports.origin}" in up.stderr
    assert str(squatter.pid) in up.stderr
    assert "POPREEL_PORT_BASE=" in up.stderr
    state = read_state(platform.folder.state)
    assert state is not None
    assert state.phase is Phase.FAILED
    assert not any(unit.pid for unit in state.units)


def _until_listening(port: int) -> None:
    subprocess.run(
        ["/bin/sh", "-c", f"until ss -ltn | grep -q ':{port} '; do sleep 0.05; done"], check=True, timeout=20
    )
