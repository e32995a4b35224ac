"""Which ports are free on a loopback address."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from contextlib import ExitStack

GRPC_OFFSET = 10_000  # SeaweedFS opens a gRPC port this far above each of its HTTP ports

# Below Linux' ephemeral range (32768...), so that clients do not take them meanwhile, and apart from each other and
# from the platforms of popreel/lab/throwaway.py (12000...18999 and those + 10000).
_PLAIN = range(30_000, 32_700)
_WITH_OTHERS_ABOVE = range(19_100, 20_000)


def is_free(port: int, *, host: str = "127.0.0.1") -> bool:
    """Whether a server could bind it now. TIME_WAIT of an earlier server does not count (SO_REUSEADDR)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int, *, also: Iterable[int] = ()) -> list[int]:
    """`count` ports of 127.0.0.1 that are free now, each also at the offsets in `also`. Bound together, so distinct.

    The search begins at a place that depends on our pid: two test runs side by side rarely want the same ports.
    """
    offsets = (0, *also)
    ports = _PLAIN if offsets == (0,) else _WITH_OTHERS_ABOVE
    found: list[int] = []
    begin = os.getpid() * 37 % len(ports)
    with ExitStack() as held:
        for port in (*ports[begin:], *ports[:begin]):
            if len(found) == count:
                break
            try:
                for offset in offsets:
                    holder = held.enter_context(socket.socket())
                    holder.bind(("127.0.0.1", port + offset))
                    holder.listen(1)  # a bound but silent port can be bound twice under SO_REUSEADDR
            except OSError:
                continue
            found.append(port)
    if len(found) < count:
        raise OSError(f"fewer than {count} free ports in {ports.start}..{ports.stop}")
    return found
