"""Reading a request head strictly. What is not plainly right is not refused here but handed over.

So only one parser ever decides about a byte: a smuggler finds no two to play against each other.
"""

from __future__ import annotations

import re
from enum import Enum, auto

import msgspec
from multidict import CIMultiDict

from edge.delivery.rules.byte_range import RangeSpec, parse_range
from edge.delivery.rules.hotlink import may_embed
from edge.delivery.rules.vary import VaryNames, VaryValues, vary_values

MAX_HEAD_BYTES = 32_768
MAX_BLOCKS = 2_048
MAX_BLOCK_BYTES = 2_048
"""Longer header blocks are read each time: they are not worth remembering."""
MAX_LINES = 4_096
MAX_LINE_BYTES = 512
FieldLine = tuple[bytes, bytes]
"""Name in lower case, value."""
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}):([\t\x20-\x7e\x80-\xff]*)")
_LENGTH = re.compile(rb"[0-9]{1,15}")
SLOW_LANE_FIELDS = frozenset(
    {b"authorization", b"cache-control", b"pragma", b"if-modified-since", b"if-range", b"if-match"}
    | {b"if-unmodified-since", b"cdn-loop", b"expect", b"upgrade", b"te", b"max-forwards"}
)
"""Only the slow lane understands these."""
_ONCE_OR_OPAQUE = frozenset({b"host", b"content-length", b"transfer-encoding"})
_ONCE_IN_FAST_LANE = frozenset({b"range", b"if-none-match", b"connection"})
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
    fields: tuple[FieldLine, ...] = ()
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


class HeadReader:
    """Judges header fields: a block is everything after the request line up to and with the CRLF of the last field.

    Remembers blocks, since players repeat them, and lines, since where a block is new few of its lines are.
    """

    def __init__(
        self,
        *,
        slow_lane_fields: frozenset[bytes] = SLOW_LANE_FIELDS,
        embedders: frozenset[str] = frozenset(),
    ) -> None:
        self._slow_lane_fields = slow_lane_fields
        self._embedders = embedders
        self._blocks: dict[bytes, HeaderBlock] = {}
        self._lines: dict[bytes, FieldLine] = {}

    def block(self, block: bytes) -> HeaderBlock:
        known = self._blocks.get(block)
        if known is None:
            known = self._read(block)
            if len(block) <= MAX_BLOCK_BYTES and known is not OPAQUE:
                if len(self._blocks) >= MAX_BLOCKS:
                    self._blocks.clear()
                self._blocks[block] = known
        return known

    def _read(self, block: bytes) -> HeaderBlock:
        lines = block.split(b"\r\n")
        if lines.pop():
            return OPAQUE
        fields: list[FieldLine] = []
        for line in lines:
            if (field := self._lines.get(line)) is None and (field := self._read_line(line)) is None:
                return OPAQUE
            fields.append(field)
        read = _judge(tuple(fields), self._slow_lane_fields)
        if self._embedders and not may_embed(read.sources(), self._embedders):
            return msgspec.structs.replace(read, is_plain=False)  # the slow lane refuses it
        return read

    def _read_line(self, line: bytes) -> FieldLine | None:
        match = _FIELD.fullmatch(line)
        if match is None:
            return None
        field = match[1].lower(), match[2].strip(b" \t")
        if len(line) <= MAX_LINE_BYTES:
            if len(self._lines) >= MAX_LINES:
                self._lines.clear()
            self._lines[line] = field
        return field


def _judge(fields: tuple[FieldLine, ...], slow_lane_fields: frozenset[bytes]) -> HeaderBlock:
    found = dict(fields)
    names = found.keys()
    is_plain = b"host" in found and names.isdisjoint(slow_lane_fields)
    if len(found) < len(fields):
        twice = {name for name in names if sum(name == other for other, _ in fields) > 1}
        if not twice.isdisjoint(_ONCE_OR_OPAQUE):
            return OPAQUE
        is_plain = is_plain and twice.isdisjoint(_ONCE_IN_FAST_LANE)
    framing, body_bytes = _framing(found)
    if framing is Framing.OPAQUE:
        return OPAQUE
    spec = _single_range(found.get(b"range"))
    is_plain = (
        is_plain
        and framing is Framing.AT_HEAD
        and (b"connection" not in found or found[b"connection"].lower() == b"keep-alive")
        and (spec is not None or b"range" not in found)
    )
    cmcd = None if names.isdisjoint(_CMCD) else b",".join(found[name] for name in sorted(_CMCD & names))
    return HeaderBlock(framing, body_bytes, is_plain, spec, found.get(b"if-none-match"), cmcd or None, fields)


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
