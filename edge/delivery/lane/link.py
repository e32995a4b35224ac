"""Asking the kernel about a connection."""

from __future__ import annotations

import asyncio
import socket

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
