"""Reading a request head strictly. What is not plainly right is not refused here but handed over.

So only one parser ever decides about a byte: a smuggler finds no two to play against each other.
"""

from __future__ import annotations

import re
from enum import Enum, auto

import msgspec
from multidict import CIMultiDict

from edge.delivery.rules.byte_range import RangeSpec, parse_range
from edge.delivery.rules.content_coding import accepted
from edge.delivery.rules.hotlink import may_embed
from edge.delivery.rules.vary import VaryNames, VaryValues, field_of, vary_values

MAX_HEAD_BYTES = 32_768
MAX_BLOCKS = 8_192
MAX_BLOCK_BYTES = 2_048
"""Longer header blocks are read each time: they are not worth remembering."""
MAX_LINES = 8_192
MAX_LINES_OF_A_NAME = 1_024
"""A field that is another one each time (a request's id) must not push out those that come again."""
MAX_LINE_BYTES = 512
MAX_NAMES = 1_024
HARMLESS, HOST, ACCEPTED, RANGE, CMCD, TELLING = 0, 1, 1 << 16, 1 << 32, 1 << 48, 1 << 64
"""Weights of a field line: those of a block add up to how many of which are in it, since no head has 1 << 16 lines."""
_WEIGHTS_OF_BARE = frozenset({HOST, HOST + ACCEPTED})
"""Nothing in it decides about the request but its variant."""
_WEIGHTS_OF_PLAYERS = frozenset({HOST, HOST + ACCEPTED, HOST + RANGE, HOST + ACCEPTED + RANGE})
_ALL_BUT_CMCD = ~(TELLING - CMCD)
FieldLine = tuple[bytes, bytes, int, RangeSpec | None]
"""Name in lower case, value (of Accept-Encoding in normal form), weight, and the range if it is one Range."""
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_VALUE_BYTES = bytes(byte for byte in range(256) if byte == 0x09 or (byte >= 0x20 and byte != 0x7F))
_LENGTH = re.compile(rb"[0-9]{1,15}")
SLOW_LANE_FIELDS = frozenset(
    {b"authorization", b"cache-control", b"pragma", b"if-modified-since", b"if-range", b"if-match"}
    | {b"if-unmodified-since", b"cdn-loop", b"expect", b"upgrade", b"te", b"max-forwards"}
)
"""Only the slow lane understands these."""
_ONCE_OR_OPAQUE = frozenset({b"host", b"content-length", b"transfer-encoding"})
_ONCE_IN_FAST_LANE = frozenset({b"range", b"if-none-match", b"connection", b"accept-encoding"})
_CMCD = frozenset({b"cmcd-request", b"cmcd-object", b"cmcd-status", b"cmcd-session"})
_SOURCES = frozenset({b"referer", b"origin"})
_WEIGHTS = {b"host": HOST, b"accept-encoding": ACCEPTED, b"range": RANGE} | dict.fromkeys(_CMCD, CMCD)
_JUDGED = _ONCE_OR_OPAQUE | _ONCE_IN_FAST_LANE | _CMCD | {b"upgrade"}
"""What `_judge` and `_framing` look for besides the slow lane's fields."""


class Framing(Enum):
    """Where the request ends."""

    AT_HEAD = auto()
    """No body."""
    BY_LENGTH = auto()
    OPAQUE = auto()
    """Chunked, upgraded, malformed or merely odd: aiohttp alone knows, so it keeps the connection."""


class HeaderBlock(msgspec.Struct, gc=False, eq=False):
    """What the fast lane needs to know of the header fields of a request. Many requests share one."""

    framing: Framing
    body_bytes: int = 0
    is_plain: bool = False
    """Nothing in it that only the slow lane understands."""
    is_bare: bool = False
    """Plain, and asks for the whole of what there is: no range, no condition."""
    range_spec: RangeSpec | None = None
    if_none_match: bytes | None = None
    cmcd: bytes | None = None
    """CMCD header fields joined, None without."""
    fields: tuple[FieldLine, ...] = ()
    asked_of: VaryNames = ()
    asked: tuple[FieldLine, ...] = ()

    def sources(self) -> list[str]:
        """The pages the request names as its own."""
        return [value.decode("latin-1") for name, value, *_ in self.fields if name in _SOURCES]

    def lines_of(self, names: VaryNames) -> tuple[FieldLine, ...]:
        """The fields of these names, as they came. Remembers one answer: it is nearly always Accept-Encoding."""
        if self.asked_of != names:
            wanted = {field_of(name).encode("latin-1") for name in names}
            self.asked_of, self.asked = names, tuple([field for field in self.fields if field[0] in wanted])
        return self.asked

    def vary_values(self, names: VaryNames) -> VaryValues:
        """The normalised values of the fields a response varies on."""
        headers = CIMultiDict(
            (name.decode(), value.decode("utf-8", "surrogateescape")) for name, value, *_ in self.fields
        )  # as aiohttp reads them
        return vary_values(names, headers)


OPAQUE = HeaderBlock(Framing.OPAQUE)
_NOTHING: tuple[tuple[FieldLine, ...], int] = ((), 0)


class _Name:
    """A field name as it came, its weight, and how many lines that begin with it are remembered."""

    __slots__ = ("lines", "lower", "weight")

    def __init__(self, lower: bytes, weight: int) -> None:
        self.lower = lower
        self.weight = weight
        self.lines = 0


class HeadReader:
    """Judges header fields: a block is everything after the request line, up to and with the empty line that ends it.

    Remembers lines, which many requests share, and blocks, which a player repeats: from the second time on, since a
    block with a line never seen before may well be the only one of its kind.
    """

    def __init__(
        self,
        *,
        slow_lane_fields: frozenset[bytes] = SLOW_LANE_FIELDS,
        embedders: frozenset[str] = frozenset(),
    ) -> None:
        self._slow_lane_fields = slow_lane_fields
        self._embedders = embedders
        self._telling = _JUDGED | slow_lane_fields | (_SOURCES if embedders else frozenset())
        self.known: dict[bytes, HeaderBlock] = {}
        """By their bytes. Never replaced: connections look up here directly. None has a second end inside."""
        self._starts: dict[bytes, tuple[tuple[FieldLine, ...], int]] = {}
        """What stands before the first CMCD field, and its weight."""
        self._lines: dict[bytes, FieldLine] = {}
        self._names: dict[bytes, _Name] = {}

    def block(self, block: bytes) -> HeaderBlock:
        return self.known.get(block) or self.read(block)

    def read(self, block: bytes) -> HeaderBlock:
        """One that is not known."""
        start = _start_of_changing(block)
        fields, weight = self._starts.get(block[:start], _NOTHING) if start else _NOTHING
        lines = block[start if fields else 0 :].split(b"\r\n")
        if lines.pop() or lines.pop():
            return OPAQUE
        is_known, read, known = True, list(fields), self._lines
        for line in lines:
            field = known.get(line)
            if field is None:
                is_known = False
                if (field := self._read_line(line)) is None:
                    return OPAQUE
            weight += field[2]
            read.append(field)
        if weight in _WEIGHTS_OF_BARE:
            judged = HeaderBlock(Framing.AT_HEAD, 0, True, True, None, None, None, tuple(read))
        else:
            judged = self._judge(tuple(read), weight)
        if start and not fields:
            self._remember_start(block[:start], read)
        if is_known and len(block) <= MAX_BLOCK_BYTES and judged is not OPAQUE:
            if len(self.known) >= MAX_BLOCKS:
                self.known.clear()
            self.known[block] = judged
        return judged

    def _remember_start(self, start: bytes, fields: list[FieldLine]) -> None:
        """When all its lines are remembered, so that one-offs push nothing out."""
        lines = start.split(b"\r\n")[:-1]
        if len(start) <= MAX_BLOCK_BYTES and all(line in self._lines for line in lines):
            if len(self._starts) >= MAX_BLOCKS:
                self._starts.clear()
            held = tuple(fields[: len(lines)])
            self._starts[start] = held, sum(field[2] for field in held)

    def _judge(self, fields: tuple[FieldLine, ...], weight: int) -> HeaderBlock:
        if weight & _ALL_BUT_CMCD in _WEIGHTS_OF_PLAYERS:
            return _of_player(fields)
        read = _judge(fields, self._slow_lane_fields)
        if self._embedders and not may_embed(read.sources(), self._embedders):
            return msgspec.structs.replace(read, is_plain=False, is_bare=False)  # the slow lane refuses it
        return read

    def _read_line(self, line: bytes) -> FieldLine | None:
        """None for a line that is no field: no colon, a name that is no token, a control character."""
        told, colon, value = line.partition(b":")
        name = self._names.get(told) or self._read_name(told)
        if name is None or not colon or value.translate(None, _VALUE_BYTES):
            return None
        value = accepted([value.decode("latin-1")]).encode() if name.weight == ACCEPTED else value.strip(b" \t")
        field = name.lower, value, name.weight, _single_range(value) if name.lower == b"range" else None
        if name.lines < MAX_LINES_OF_A_NAME and len(line) <= MAX_LINE_BYTES:
            if len(self._lines) >= MAX_LINES:
                self._lines.clear()
                self._names.clear()
            name.lines += 1
            self._lines[line] = field
        return field

    def _read_name(self, told: bytes) -> _Name | None:
        if _NAME.fullmatch(told) is None:
            return None
        lower = told.lower()
        weight = _WEIGHTS.get(lower, TELLING if lower in self._telling else HARMLESS)
        name = _Name(lower, weight)
        if len(self._names) < MAX_NAMES:
            self._names[told] = name
        return name


def _start_of_changing(block: bytes) -> int:
    """Where the fields begin that a player changes with every request, 0 if there are none or they come first."""
    at = block.find(b"\r\nCMCD-")
    if at < 0:
        at = block.find(b"\r\ncmcd-")
    return at + 2 if at > 0 else 0


def _of_player(fields: tuple[FieldLine, ...]) -> HeaderBlock:
    """One Host, at most one Accept-Encoding and one Range, any CMCD, and nothing else that decides."""
    telling = [field for field in fields if field[2] >= RANGE]
    specs = [field[3] for field in telling if field[2] == RANGE]
    cmcd = b",".join([field[1] for field in telling if field[2] == CMCD]) or None
    spec = specs[0] if specs else None
    is_plain = spec is not None or not specs
    return HeaderBlock(Framing.AT_HEAD, 0, is_plain, is_plain and spec is None, spec, None, cmcd, fields)


def _judge(fields: tuple[FieldLine, ...], slow_lane_fields: frozenset[bytes]) -> HeaderBlock:
    telling = [field for field in fields if field[2]]
    found = {field[0]: field for field in telling}
    names = found.keys()
    is_plain = b"host" in found and names.isdisjoint(slow_lane_fields)
    if len(found) < len(telling):
        twice = {name for name in names if sum(name == other for other, *_ in telling) > 1}
        if not twice.isdisjoint(_ONCE_OR_OPAQUE):
            return OPAQUE
        is_plain = is_plain and twice.isdisjoint(_ONCE_IN_FAST_LANE)
    framing, body_bytes = _framing(found)
    if framing is Framing.OPAQUE:
        return OPAQUE
    spec = found[b"range"][3] if b"range" in found else None
    is_plain = (
        is_plain
        and framing is Framing.AT_HEAD
        and (b"connection" not in found or found[b"connection"][1].lower() == b"keep-alive")
        and (spec is not None or b"range" not in found)
    )
    cmcd = b",".join([field[1] for field in telling if field[0] in _CMCD])
    none_match = found[b"if-none-match"][1] if b"if-none-match" in found else None
    is_bare = is_plain and spec is None and none_match is None
    return HeaderBlock(framing, body_bytes, is_plain, is_bare, spec, none_match, cmcd or None, fields)


def _framing(found: dict[bytes, FieldLine]) -> tuple[Framing, int]:
    if b"transfer-encoding" in found or b"upgrade" in found:
        return Framing.OPAQUE, 0
    if b"content-length" not in found:
        return Framing.AT_HEAD, 0
    length = found[b"content-length"][1]
    if not _LENGTH.fullmatch(length):
        return Framing.OPAQUE, 0
    return (Framing.BY_LENGTH, int(length)) if int(length) else (Framing.AT_HEAD, 0)


def _single_range(value: bytes) -> RangeSpec | None:
    specs = parse_range(value.decode("latin-1"))
    return specs[0] if specs is not None and len(specs) == 1 else None


def split_cmcd(target: bytes) -> tuple[bytes, bytes | None]:
    """(target without its CMCD argument, the argument's value) when CMCD is the last argument; else unchanged, None."""
    at = target.rfind(b"CMCD=")
    if at <= 0 or target[at - 1] not in b"?&" or b"&" in target[at:] or target.find(b"CMCD=") != at:
        return target, None
    return target[: at - 1], target[at + 5 :]
