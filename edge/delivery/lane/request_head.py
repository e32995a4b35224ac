"""Reading a request head strictly. What is not plainly right is not refused here but handed over.

So only one parser ever decides about a byte: a smuggler finds no two to play against each other.
"""

from __future__ import annotations

import re
from enum import Enum, auto

import msgspec
from multidict import CIMultiDict

from edge.delivery.rules.byte_range import RangeSpec, parse_range
from edge.delivery.rules.vary import VaryNames, VaryValues, vary_values

MAX_HEAD_BYTES = 32_768
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*\r\n")
_LENGTH = re.compile(rb"[0-9]{1,15}")
SLOW_LANE_FIELDS = frozenset(
    {b"authorization", b"cache-control", b"pragma", b"if-modified-since", b"if-range", b"if-match"}
    | {b"if-unmodified-since", b"cdn-loop", b"expect", b"upgrade", b"te", b"max-forwards"}
)
"""Only the slow lane understands these."""
_CMCD = frozenset({b"cmcd-request", b"cmcd-object", b"cmcd-status", b"cmcd-session"})


class Framing(Enum):
    """Where the request ends."""

    AT_HEAD = auto()
    """No body."""
    BY_LENGTH = auto()
    OPAQUE = auto()
    """Chunked, upgraded, malformed or merely odd: aiohttp alone knows, so it keeps the connection."""


class HeaderBlock(msgspec.Struct, frozen=True, gc=False):
    """What the fast lane needs to know of the header fields of a request."""

    framing: Framing
    body_bytes: int = 0
    is_plain: bool = False
    """Nothing in it that only the slow lane understands."""
    range_spec: RangeSpec | None = None
    if_none_match: bytes | None = None
    cmcd: bytes | None = None
    """CMCD header fields joined, None without."""
    fields: tuple[tuple[bytes, bytes], ...] = ()
    _vary: dict[VaryNames, VaryValues] = msgspec.field(default_factory=dict)

    def sources(self) -> list[str]:
        """The pages the request names as its own."""
        return [value.decode("latin-1") for name, value in self.fields if name in (b"referer", b"origin")]

    def vary_values(self, names: VaryNames) -> VaryValues:
        """The normalised values of the fields a response varies on; computed once per block and set of names."""
        if (values := self._vary.get(names)) is None:
            headers = CIMultiDict(
                (name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in self.fields
            )  # as aiohttp reads them
            values = self._vary[names] = vary_values(names, headers)
        return values


OPAQUE = HeaderBlock(Framing.OPAQUE)


def read_block(block: bytes, *, slow_lane_fields: frozenset[bytes] = SLOW_LANE_FIELDS) -> HeaderBlock:
    """Judge header fields: `block` is everything after the request line up to and with the CRLF of the last field.

    `slow_lane_fields`: lower-case names of fields that make a request one for the slow lane.
    """
    fields: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(block):
        match = _FIELD.match(block, at)
        if match is None:
            return OPAQUE
        fields.append((match[1].lower(), match[2]))
        at = match.end()
    return _judge(fields, slow_lane_fields)


def _judge(fields: list[tuple[bytes, bytes]], needs_slow_lane: frozenset[bytes]) -> HeaderBlock:
    found: dict[bytes, bytes] = {}
    is_plain = True
    for name, value in fields:
        if name in found:
            if name in (b"host", b"content-length", b"transfer-encoding"):
                return OPAQUE
            is_plain = is_plain and name not in (b"range", b"if-none-match", b"connection")
        found[name] = value
    framing, body_bytes = _framing(found)
    if framing is Framing.OPAQUE:
        return OPAQUE
    spec = _single_range(found.get(b"range"))
    is_plain = (
        is_plain
        and framing is Framing.AT_HEAD
        and b"host" in found
        and found.keys().isdisjoint(needs_slow_lane)
        and found.get(b"connection", b"keep-alive").lower() == b"keep-alive"
        and (spec is not None or b"range" not in found)
    )
    cmcd = b"" if found.keys().isdisjoint(_CMCD) else b",".join(found[name] for name in sorted(_CMCD & found.keys()))
    return HeaderBlock(framing, body_bytes, is_plain, spec, found.get(b"if-none-match"), cmcd or None, tuple(fields))


def _framing(found: dict[bytes, bytes]) -> tuple[Framing, int]:
    if b"transfer-encoding" in found or b"upgrade" in found:
        return Framing.OPAQUE, 0
    length = found.get(b"content-length")
    if length is None:
        return Framing.AT_HEAD, 0
    if not _LENGTH.fullmatch(length):
        return Framing.OPAQUE, 0
    return (Framing.BY_LENGTH, int(length)) if int(length) else (Framing.AT_HEAD, 0)


def _single_range(value: bytes | None) -> RangeSpec | None:
    if value is None:
        return None
    specs = parse_range(value.decode("latin-1"))
    return specs[0] if specs is not None and len(specs) == 1 else None


def split_cmcd(target: bytes) -> tuple[bytes, bytes | None]:
    """(target without its CMCD argument, the argument's value) when CMCD is the last argument; else unchanged, None."""
    at = target.rfind(b"CMCD=")
    if at <= 0 or target[at - 1] not in b"?&" or b"&" in target[at:] or target.find(b"CMCD=") != at:
        return target, None
    return target[: at - 1], target[at + 5 :]
