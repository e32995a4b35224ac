"""The supervisor over small real processes: stages, restarts, what they leave, the order of the stop."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from popreel.embedded.ports import free_ports
from popreel.embedded.process import ManagedProcess
from popreel.errors import PortsTaken, StartFailed
from popreel.launcher.instance import claim
from popreel.launcher.layout import DataFolder, PortPlan
from popreel.launcher.leftovers import end_leftovers
from popreel.launcher.port_check import in_use, own_ports
from popreel.launcher.state_file import PlatformState, UnitPhase, UnitState
from popreel.launcher.supervisor import Stage, Supervisor, Watched, describe_exit
from popreel.launcher.unit import ServiceProcess

_SERVICE = """
import argparse, http.server, os, subprocess, sys
parser = argparse.ArgumentParser()
parser.add_argument("--config")
behaviour, port = open(parser.parse_args().config).read().split()
if behaviour == "dies":
    sys.exit("no licence found")
if behaviour == "parent":
    child = subprocess.Popen(["sleep", "600"])
    print("child", child.pid, flush=True)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = open(sys.argv[2]).read().split()[0] != "unready"
        self.send_response(200 if ready else 503)
        self.end_headers()
    def log_message(self, *arguments):
        pass

http.server.HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""


class Bench:
    """Makes services that behave as told, and hears what the supervisor reports."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "small_service.py").write_text(textwrap.dedent(_SERVICE))
        self.heard: list[tuple[str, UnitPhase]] = []
        self._ports = free_ports(3)
        self._news = asyncio.Event()

    def service(self, name: str, behaviour: str = "serves") -> ServiceProcess:
        port = self._ports.pop()
        config = self._folder / f"{name}.conf"
        config.write_text(f"{behaviour} {port}")
        return ServiceProcess(
            name=name,
            module="small_service",
            config=config,
            host="127.0.0.1",
            port=port,
            log_file=self._folder / f"{name}.log",
            working_dir=self._folder,
        )

    def behave(self, name: str, behaviour: str) -> None:
        """Change what a running service does."""
        config = self._folder / f"{name}.conf"
        config.write_text(f"{behaviour} {config.read_text().split()[1]}")

    def report(self, watched: Watched) -> None:
        self.heard.append((watched.unit.name, watched.phase))
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Bench(tmp_path)


def _ended(pid: int) -> bool:
    """Whether it is gone, or a zombie until init reaps it."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


@asynccontextmanager
async def running(
    bench: Bench,
    *stages: tuple[ServiceProcess, ...],
    then: Callable[[], Awaitable[None]] | None = None,
    hang_after_s: float = 0.0,
) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(
        [Stage(units=units, then=then) for units in stages],
        report=bench.report,
        start_deadline_s=10,
        hang_after_s=hang_after_s,
    )
    try:
        await supervisor.start()
        yield supervisor
    finally:
        await supervisor.stop()


async def test_stages_start_in_order_and_stop_in_the_reverse(bench: Bench) -> None:
    lower, upper = bench.service("lower"), bench.service("upper")
    async with running(bench, (lower,), (upper,)):
        assert (lower.pid is None, upper.pid is None) == (False, False)
    assert bench.heard.index(("lower", UnitPhase.READY)) < bench.heard.index(("upper", UnitPhase.STARTING))
    assert bench.heard[-2:] == [("upper", UnitPhase.STOPPED), ("lower", UnitPhase.STOPPED)]
    assert (lower.pid, upper.pid) == (None, None)


async def test_a_killed_process_comes_back_and_its_end_is_told(bench: Bench) -> None:
    service = bench.service("victim")
    async with running(bench, (service,)) as supervisor:
        before = service.pid
        assert before
        os.kill(before, signal.SIGKILL)
        await bench.until(lambda: bench.heard.count(("victim", UnitPhase.READY)) == 2)
        assert service.pid not in (None, before)
        watched = supervisor.watched["victim"]
        assert (watched.restarts, watched.last_exit) == (1, "signal SIGKILL")


async def test_a_process_that_hangs_is_killed_and_comes_back_and_others_stay(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    hanging, lively = bench.service("hanging"), bench.service("lively")
    async with running(bench, (hanging, lively), hang_after_s=2.0) as supervisor:
        before, untouched = hanging.pid, lively.pid
        assert before
        os.kill(before, signal.SIGSTOP)
        await bench.until(lambda: bench.heard.count(("hanging", UnitPhase.READY)) == 2)
        assert hanging.pid not in (None, before)
        assert _ended(before)
        watched = supervisor.watched["hanging"]
        assert watched.last_exit.startswith("signal SIGKILL, no answer for ")
        assert (lively.pid, supervisor.watched["lively"].restarts) == (untouched, 0)
    assert [record.unit for record in caplog.records if getattr(record, "event", "") == "unit_hung"] == ["hanging"]  # type: ignore[attr-defined]


async def test_a_restart_that_fails_is_tried_again_until_it_succeeds(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = bench.service("stubborn")
    starts, real_start = 0, service.start

    async def start() -> None:
        nonlocal starts
        starts += 1
        if starts in (2, 3):
            raise OSError(errno.ENOSPC, "No space left on device")
        await real_start()

    monkeypatch.setattr(service, "start", start)
    async with running(bench, (service,)) as supervisor:
        assert service.pid
        os.kill(service.pid, signal.SIGKILL)
        await bench.until(lambda: bench.heard.count(("stubborn", UnitPhase.READY)) == 2)
        assert starts == 4
        assert supervisor.watched["stubborn"].restarts == 3


async def test_a_process_that_gets_ready_late_after_a_restart_is_reported_ready(bench: Bench) -> None:
    service = bench.service("late")
    supervisor = Supervisor([Stage(units=(service,))], report=bench.report, start_deadline_s=10)
    await supervisor.start()
    bench.behave("late", "unready")
    assert service.pid
    os.kill(service.pid, signal.SIGKILL)
    await bench.until(lambda: bench.heard[-1] == ("late", UnitPhase.STARTING))
    pid = service.pid
    bench.behave("late", "serves")  # read at each request
    await bench.until(lambda: bench.heard[-1] == ("late", UnitPhase.READY))
    assert service.pid is not None
    assert pid in (None, service.pid)  # the same process, not another start
    await supervisor.stop()


async def test_what_a_killed_process_left_in_its_group_goes_with_it(bench: Bench) -> None:
    service = bench.service("family", "parent")
    async with running(bench, (service,)):
        child = int(service.log_file.read_text().split()[1])
        assert service.pid
        os.kill(service.pid, signal.SIGKILL)
        await bench.until(lambda: bench.heard.count(("family", UnitPhase.READY)) == 2)
        assert _ended(child)


async def test_a_process_that_cannot_start_fails_the_start_with_its_last_words(bench: Bench) -> None:
    with pytest.raises(StartFailed, match="no licence found"):
        async with running(bench, (bench.service("sound"), bench.service("broken", "dies"))):
            pass
    assert bench.heard.count(("broken", UnitPhase.STARTING)) == 3
    assert ("sound", UnitPhase.STOPPED) in bench.heard


async def test_a_process_that_never_gets_ready_is_named_with_the_reason(bench: Bench) -> None:
    supervisor = Supervisor(
        [Stage(units=(bench.service("slow", "unready"),))], report=bench.report, start_deadline_s=0.3
    )
    with pytest.raises(StartFailed, match="slow is not ready after 0 s"):
        await supervisor.start()
    await supervisor.stop()


def test_nothing_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from popreel.embedded.process import ManagedProcess
        folder = Path(sys.argv[1])
        child = ManagedProcess.spawn(["/bin/sleep", "600"], name="s", log_file=folder / "s.log", cwd=folder)
        print(child.pid, flush=True)
        time.sleep(600)
    """)
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        watch = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    ended, _, _ = select.select([watch], [], [], 10)
    os.close(watch)
    assert ended


async def test_leftovers_of_an_earlier_run_are_ended_but_strangers_with_their_pid_are_not(tmp_path: Path) -> None:
    ours = ManagedProcess.spawn(["/bin/sleep", "600"], name="s", log_file=tmp_path / "s.log", cwd=tmp_path)
    stranger = ManagedProcess.spawn(["/bin/sleep", "600"], name="t", log_file=tmp_path / "t.log", cwd=tmp_path)
    state = PlatformState(
        supervisor_pid=1,
        units=[
            UnitState(name="s", pid=ours.pid, log=str(tmp_path / "s.log")),
            UnitState(name="x", pid=stranger.pid, log=str(tmp_path / "x.log")),
        ],
    )
    watcher = asyncio.create_task(ours.wait())
    await end_leftovers(state, grace_s=0.2)
    assert await watcher == -signal.SIGKILL
    assert stranger.returncode is None
    await stranger.stop(signal.SIGKILL, deadline_s=5)


async def test_a_taken_port_is_named_with_its_holder_and_a_way_out() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    words = rf"127.0.0.1:{port}  used by .*\(pid {os.getpid()}\)[\s\S]*POPREEL_PORT_BASE="
    with pytest.raises(PortsTaken, match=words), own_ports([("127.0.0.1", port)], plan=PortPlan(base=21_000)):
        pass
    server.close()
    await server.wait_closed()


def test_ports_of_an_installation_that_only_starts_are_named_with_its_folder(tmp_path: Path) -> None:
    ports = [("127.0.0.1", port) for port in free_ports(2)]
    plan = PortPlan(base=21_000)
    folder = DataFolder(root=tmp_path / "theirs")
    claim(folder)
    with folder.log("supervisor").open("w"):
        with own_ports(ports, plan=plan):
            assert in_use(ports) == ports
            words = rf"{ports[1][1]}  used by popreel on {folder.root} [\s\S]*POPREEL_PORT_BASE="
            with pytest.raises(PortsTaken, match=words), own_ports(ports[1:], plan=plan):
                pass
        assert in_use(ports) == []


def test_of_two_that_start_at_once_one_has_the_ports() -> None:
    ports = [("127.0.0.1", port) for port in free_ports(8)]
    together = threading.Barrier(2, timeout=30)

    def start(_: int) -> bool:
        together.wait()
        try:
            with own_ports(ports, plan=PortPlan(base=21_000)):
                together.wait()  # neither gives up before the other has tried
                return True
        except PortsTaken:
            together.wait()
            return False

    with ThreadPoolExecutor(2) as threads:
        for _ in range(20):
            assert sorted(threads.map(start, range(2))) == [False, True]


async def test_a_program_that_does_not_exist_ends_with_a_reason_in_its_log(tmp_path: Path) -> None:
    process = ManagedProcess.spawn(["/nowhere/x"], name="x", log_file=tmp_path / "x.log", cwd=tmp_path)
    assert await process.wait() == 126
    assert "No such file" in (tmp_path / "x.log").read_text()


@pytest.mark.parametrize(("code", "words"), [(0, "exit 0"), (-9, "signal SIGKILL"), (-99, "signal 99")])
def test_exits_are_described(code: int, words: str) -> None:
    assert describe_exit(code) == words
