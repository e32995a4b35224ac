"""Are the ports of an installation free? If not: who holds them and what to change."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from popreel.embedded.ports import GRPC_OFFSET, is_free
from popreel.errors import PortsTaken

Address = tuple[str, int]


def check_ports(wanted: Iterable[Address], *, base: int) -> None:
    """Raises PortsTaken with every address in use, by whom as far as we may see, and a port base to take instead."""
    taken = [(host, port) for host, port in wanted if not is_free(port, host=host)]
    if not taken:
        return
    lines = [f"  {host}:{port}  used by {_holder(port) or 'a process of another user'}" for host, port in taken]
    raise PortsTaken(
        "\n".join(
            [
                "these addresses are in use:",
                *lines,
                f"Stop what uses them, or move popreel: POPREEL_PORT_BASE={_other_base(base)} popreel up",
            ]
        )
    )


def _other_base(base: int) -> int:
    """The next block, in steps of 1000, that is free and whose gRPC ports exist."""
    for candidate in range(base + 1000, 55_000, 1000):
        block = [*range(candidate, candidate + 14), *(port + GRPC_OFFSET for port in range(candidate, candidate + 14))]
        if all(is_free(port) for port in block):
            return candidate
    return base + 1000


def _holder(port: int) -> str | None:
    """Name and pid of the process that listens on `port`, by /proc; None if it is not ours to see."""
    inodes = _listening_inodes(port)
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if descriptor.readlink().name in inodes:
                process = descriptor.parents[1]
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return None


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
