"""The ports of an installation: ours from before the first process starts, or who has them and what to change."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from popreel.embedded.ports import is_free
from popreel.errors import PortsTaken
from popreel.launcher.layout import MARKER, PortPlan

Address = tuple[str, int]
_ABOVE = 4  # how far below its data folder a process of ours has files open: logs/*.log, pops/<id>/media/...


@contextmanager
def own_ports(wanted: Iterable[Address], *, plan: PortPlan) -> Iterator[None]:
    """Keep these addresses from every other popreel while inside: of two that start at once, one has them all.

    Servers bind one after another, seconds apart, so that a look at what is bound would let both begin. Raises
    PortsTaken with every address in use, by whom as far as we may see, and a port base to take instead.
    """
    addresses = sorted(set(wanted))
    with ExitStack() as ours:
        if all(_reserve(address, ours) for address in addresses) and all(map(_is_free, addresses)):
            yield
            return
    raise _ports_taken(in_use(addresses), plan)


def in_use(addresses: Iterable[Address]) -> list[Address]:
    """Those that somebody listens on, or that a popreel has reserved."""
    return [address for address in addresses if not _is_free(address) or _reserving_inodes(address)]


def holders(taken: Iterable[Address]) -> dict[str, list[Address]]:
    """Addresses by who has them, in words."""
    found: dict[str, list[Address]] = {}
    for address in taken:
        found.setdefault(_holder(address) or "a process of another user", []).append(address)
    return found


def _is_free(address: Address) -> bool:
    return is_free(address[1], host=address[0])


def _reserve(address: Address, ours: ExitStack) -> bool:
    """By the name of an abstract socket (unix(7)): given to one at a time in a network namespace, as ports are, and
    free again however its holder ends."""
    mark = ours.enter_context(socket.socket(socket.AF_UNIX))
    try:
        mark.bind(f"\0{_mark(address)}")
    except OSError:
        return False
    return True


def _mark(address: Address) -> str:
    return f"popreel-has-{address[0]}:{address[1]}"


def _ports_taken(taken: Iterable[Address], plan: PortPlan) -> PortsTaken:
    lines = [
        f"  {', '.join(f'{host}:{port}' for host, port in addresses)}  used by {who}"
        for who, addresses in holders(taken).items()
    ]
    way_out = f"Stop what uses them, or move popreel: POPREEL_PORT_BASE={_other_base(plan)} popreel up"
    return PortsTaken("\n".join(["these addresses are in use:", *lines, way_out]))


def _other_base(plan: PortPlan) -> int:
    """The next base, in steps of 1000, whose ports are free."""
    for base in range(plan.base + 1000, 55_000, 1000):
        ports = PortPlan(base=base, workers=plan.workers).all
        if not in_use(("127.0.0.1", port) for port in ports):
            return base
    return plan.base + 1000


def _holder(address: Address) -> str | None:
    """The installation or the process that has `address`, by /proc; None if it is not ours to see."""
    inodes = _listening_inodes(address[1]) | _reserving_inodes(address)
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if descriptor.readlink().name in inodes:
                process = descriptor.parents[1]
                return _installation(process) or f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return None


def _installation(process: Path) -> str | None:
    """The popreel that `process` (its folder in /proc) belongs to, by the files it has open: its log at least."""
    for descriptor in (process / "fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            for folder in descriptor.readlink().parents[:_ABOVE]:
                if (folder / MARKER).exists():
                    return f"popreel on {folder} (end it: POPREEL_DATA_DIR={folder} popreel down)"
    return None


def _reserving_inodes(address: Address) -> set[str]:
    """`socket:[inode]` of the reservation; /proc/net/unix shows the name of an abstract socket behind @."""
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    fields = [line.split() for line in lines if line.endswith(f"@{_mark(address)}")]
    return {f"socket:[{inode}]" for *_, inode, _name in fields}


def _listening_inodes(port: int) -> set[str]:
    """`socket:[inode]` of every listener on `port` (proc(5): field 1 is ADDRESS:PORT in hex, 3 the state)."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
