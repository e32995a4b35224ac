"""CMSD-Dynamic (CTA-5006): what this hop knows of the way to the player. One list item per hop."""

from __future__ import annotations

import struct
from typing import NamedTuple

from edge.delivery.rules.structured_field import quote

FIELD = "CMSD-Dynamic"
# struct tcp_info of linux/tcp.h: snd_mss, rtt (us), snd_cwnd, delivery_rate (bytes/s, since Linux 4.9)
_SND_MSS, _RTT, _SND_CWND, _DELIVERY_RATE = 16, 68, 80, 160
TCP_INFO_BYTES = 192


class Link(NamedTuple):
    """A connection as its kernel sees it; 0 means not known."""

    rtt_ms: int
    throughput_kbps: int


def read_tcp_info(raw: bytes) -> Link:
    """From getsockopt(IPPROTO_TCP, TCP_INFO). Throughput is the measured delivery rate, else cwnd x mss / rtt."""
    if len(raw) < _SND_CWND + 4:
        return Link(0, 0)
    (rtt_us,) = struct.unpack_from("=I", raw, _RTT)
    rate = struct.unpack_from("=Q", raw, _DELIVERY_RATE)[0] if len(raw) >= _DELIVERY_RATE + 8 else 0
    if not rate and rtt_us:
        (mss,) = struct.unpack_from("=I", raw, _SND_MSS)
        (cwnd,) = struct.unpack_from("=I", raw, _SND_CWND)
        rate = cwnd * mss * 1_000_000 // rtt_us
    return Link(round(rtt_us / 1000), rate * 8 // 1000)


def dynamic(name: str, link: Link, *, response_delay_ms: int) -> str:
    """The item for this hop: estimated throughput, round trip, time from request to first byte."""
    parts = [quote(name)]
    if link.throughput_kbps:
        parts.append(f"etp={link.throughput_kbps}")
    if link.rtt_ms:
        parts.append(f"rtt={link.rtt_ms}")
    parts.append(f"rd={response_delay_ms}")
    return ";".join(parts)
