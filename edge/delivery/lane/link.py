"""Asking the kernel about a connection."""

from __future__ import annotations

import asyncio
import socket

from edge.delivery.rules import cmsd
from edge.delivery.rules.cmsd import TCP_INFO_BYTES, Link, read_tcp_info

_UNKNOWN = Link(0, 0)


def link_of(transport: asyncio.BaseTransport | None) -> Link:
    """Round trip and throughput towards the peer; zeros where the system does not tell."""
    line = transport.get_extra_info("socket") if transport is not None else None
    if line is None or not hasattr(socket, "TCP_INFO"):
        return _UNKNOWN
    try:
        return read_tcp_info(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES))
    except OSError:
        return _UNKNOWN


class LinkReport:
    """What players on one connection are told about it in the fast lane: the kernel is asked once a second."""

    __slots__ = ("_asked_s", "_line", "_name", "_transport")

    def __init__(self, transport: asyncio.BaseTransport, *, name: str) -> None:
        self._transport = transport
        self._name = name
        self._asked_s = 0
        self._line = b""

    def line(self, now_s: float) -> bytes:
        """The CMSD-Dynamic field of this second, with its line end."""
        if self._asked_s != int(now_s):
            self._asked_s = int(now_s)
            item = cmsd.dynamic(self._name, link_of(self._transport), response_delay_ms=0)
            self._line = f"{cmsd.FIELD}: {item}\r\n".encode("latin-1")
        return self._line
