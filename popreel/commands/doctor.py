"""`popreel doctor`: what this machine lacks, and how to mend it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape

from foundation.errors import PopreelError
from popreel.commands.context import Context
from popreel.embedded import object_store, postgres, valkey
from popreel.launcher.instance import holder
from popreel.launcher.layout import PortPlan
from popreel.launcher.port_check import holders, in_use

_GIB = 1024**3
_PROJECT = Path(__file__).parents[2]


class Verdict(StrEnum):
    FINE = "fine"
    ADVICE = "advice"
    """Works, but."""
    BROKEN = "broken"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check: what was looked at, what was found, what to do."""

    subject: str
    verdict: Verdict
    found: str
    remedy: str = ""


def examine(context: Context) -> list[Finding]:
    """Run every check; none raises and none changes anything."""
    return [
        _system(),
        _python(),
        _program("Postgres", postgres.find_binaries),
        _program("Valkey", valkey.find_binary),
        _program("object store", object_store.find_binary),
        _root(context),
        *_folders(context),
        *_ports(context),
        _memory(),
        _models(),
        _web(),
        _browser(),
    ]


def print_findings(out: Console, findings: list[Finding]) -> None:
    marks = {Verdict.FINE: "[green]fine  [/]", Verdict.ADVICE: "[yellow]advice[/]", Verdict.BROKEN: "[red]broken[/]"}
    for finding in findings:
        out.print(f"{marks[finding.verdict]} {finding.subject}: {escape(finding.found)}", soft_wrap=True)
        if finding.remedy:
            out.print(f"       -> {finding.remedy}", soft_wrap=True, markup=False)


def _system() -> Finding:
    name = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    if platform.system() != "Linux":
        remedy = "run popreel on Linux (a container or a virtual machine will do)"
        return Finding(subject="system", verdict=Verdict.BROKEN, found=name, remedy=remedy)
    return Finding(subject="system", verdict=Verdict.FINE, found=name)


def _python() -> Finding:
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < (3, 11):  # noqa: UP036 - says so to whoever runs it from a source folder
        return Finding(subject="Python", verdict=Verdict.BROKEN, found=found, remedy="install Python 3.11 or newer")
    return Finding(subject="Python", verdict=Verdict.FINE, found=found)


def _program(subject: str, find: Callable[[], Path]) -> Finding:
    try:
        return Finding(subject=subject, verdict=Verdict.FINE, found=str(find()))
    except PopreelError as err:
        return Finding(subject=subject, verdict=Verdict.BROKEN, found="not found", remedy=err.detail)


def _root(context: Context) -> Finding:
    if os.geteuid() != 0:
        return Finding(subject="user", verdict=Verdict.FINE, found=f"uid {os.geteuid()}")
    limit = Path("/proc/sys/user/max_user_namespaces")
    if limit.exists() and limit.read_text().strip() == "0":
        return Finding(
            subject="user",
            verdict=Verdict.ADVICE,
            found="root, and user namespaces are off: Postgres will run as an unprivileged user",
            remedy=f"others must be able to enter {context.folder.root.parent}; or run popreel as an ordinary user",
        )
    return Finding(subject="user", verdict=Verdict.FINE, found="root; Postgres runs in a user namespace of its own")


def _folders(context: Context) -> Iterator[Finding]:
    root = context.folder.root
    existing = next(path for path in (root, *root.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        remedy = "choose another folder with POPREEL_DATA_DIR, or run as its owner"
        yield Finding(subject="data folder", verdict=Verdict.BROKEN, found=f"{root} cannot be written", remedy=remedy)
    free = shutil.disk_usage(existing).free
    yield Finding(
        subject="disk",
        verdict=Verdict.FINE if free > 5 * _GIB else Verdict.ADVICE,
        found=f"{free / _GIB:.1f} GiB free below {existing}",
        remedy="" if free > 5 * _GIB else "keep 5 GiB free: videos are stored as uploaded and in each rendition",
    )


def _ports(context: Context) -> Iterator[Finding]:
    plan = PortPlan(base=context.settings.port_base, workers=context.settings.workers)
    base = plan.base
    if holder(context.folder.lock) is not None:
        yield Finding(subject="ports", verdict=Verdict.FINE, found=f"popreel is running from port {base} on")
        return
    wanted = {("127.0.0.1", port) for port in plan.all} | {(pop.host, base) for pop in context.settings.pops}
    taken = [
        f"{', '.join(f'{host}:{port}' for host, port in addresses)} by {who}"
        for who, addresses in holders(in_use(sorted(wanted))).items()
    ]
    yield Finding(
        subject="ports",
        verdict=Verdict.BROKEN if taken else Verdict.FINE,
        found=f"in use: {'; '.join(taken)}" if taken else f"{base} and those above are free",
        remedy=f"stop what uses them or set POPREEL_PORT_BASE, e.g. {base + 1000}" if taken else "",
    )


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if total < 4 * _GIB:
        remedy = "4 GiB are wanted: encoding 1080p takes about 1 GiB besides the servers"
        return Finding(subject="memory", verdict=Verdict.ADVICE, found=f"{total / _GIB:.1f} GiB", remedy=remedy)
    return Finding(subject="memory", verdict=Verdict.FINE, found=f"{total / _GIB:.1f} GiB")


def _models() -> Finding:
    folder = _PROJECT / ".cache" / "models"
    if folder.is_dir() and any(folder.iterdir()):
        return Finding(subject="models", verdict=Verdict.FINE, found=str(folder))
    remedy = "run `make setup`; without them new videos are recommended by popularity alone"
    return Finding(subject="models", verdict=Verdict.ADVICE, found="not installed", remedy=remedy)


def _web() -> Finding:
    index = _PROJECT / "web" / "dist" / "index.html"
    if index.is_file():
        return Finding(subject="web app", verdict=Verdict.FINE, found=str(index.parent))
    remedy = "run `make setup`; the API works without it"
    return Finding(subject="web app", verdict=Verdict.ADVICE, found="not built", remedy=remedy)


def _browser() -> Finding:
    installed = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    found = installed or next(map(str, (_PROJECT / ".cache" / "browsers").glob("chromium*")), None)
    if found and find_spec("playwright"):
        return Finding(subject="browser for tests", verdict=Verdict.FINE, found=found)
    remedy = "only `make test` needs one, and fetches it"
    return Finding(subject="browser for tests", verdict=Verdict.ADVICE, found="none", remedy=remedy)
