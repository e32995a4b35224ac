"""CMCD (CTA-5004 v1, CTA-5004-B v2): what a player tells the edge about itself and about what it wants next.

All of it is a hint from a stranger: it may change the order of fetches and start a bounded prefetch inside what the
request itself was allowed, nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from edge.delivery.rules.byte_range import Span
from edge.delivery.rules.structured_field import Item, parse_dictionary

MAX_CMCD_CHARS = 4096
MAX_NEXT = 4
"""Next objects taken from one request."""
_RANGE = re.compile(r"([0-9]{1,15})-([0-9]{1,15})?")
_LENIENT = re.compile(r'(?:^|,)\s*([a-z]+)(?:=("(?:[^"\\]|\\.)*"|[^,]*))?')


class NextObject(NamedTuple):
    """`reference` is relative to the request's path."""

    reference: str
    span: Span | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmcd:
    is_starting: bool = False
    """su: needed urgently for start, seek or after a stall."""
    is_preloading: bool = False
    """sta=d: the player warms up something that is not playing."""
    was_starved: bool = False
    buffer_ms: int | None = None
    stream: str = ""
    """sid and ot: one kind of objects (audio, video, both) of one player; each stream announces its own next objects.
    Empty without sid."""
    next_objects: tuple[NextObject, ...] = ()

    @property
    def is_urgent(self) -> bool:
        return not self.is_preloading and (self.is_starting or self.buffer_ms == 0)


NO_CMCD = Cmcd()


def parse_cmcd(text: str) -> Cmcd:
    """Read the decoded value of the query argument, or the header fields joined with commas. Never raises."""
    if not text or len(text) > MAX_CMCD_CHARS:
        return NO_CMCD
    members = parse_dictionary(text)
    if members is None:
        members = _lenient(text)
    return Cmcd(
        is_starting=_is_true(members.get("su")),
        is_preloading=_text(members.get("sta")) == "d",
        was_starved=_is_true(members.get("bs")),
        buffer_ms=_number(members.get("bl")),
        stream=_stream(members),
        next_objects=_next_objects(members),
    )


def _lenient(text: str) -> dict[str, Item]:
    """Players in the field break the dictionary syntax (long decimals, upper case): take what can be told."""
    found: dict[str, Item] = {}
    for key, value in _LENIENT.findall(text):
        if value.startswith('"'):
            found[key] = Item(value[1:-1], {})
        else:
            found[key] = Item(int(value) if value.isdigit() else value or True, {})
    return found


def _first(item: Item | None) -> Item | None:
    """v2 makes lists of what v1 had as single values."""
    if item is not None and isinstance(item.value, tuple):
        return item.value[0] if item.value else None
    return item


def _is_true(item: Item | None) -> bool:
    return item is not None and item.value is True


def _text(item: Item | None) -> str:
    return item.value if item is not None and isinstance(item.value, str) else ""


def _number(item: Item | None) -> int | None:
    single = _first(item)
    if single is None or isinstance(single.value, bool) or not isinstance(single.value, int | float):
        return None
    return int(single.value)


def _stream(members: dict[str, Item]) -> str:
    session = _text(members.get("sid"))[:64]
    return f"{session} {_text(members.get('ot'))[:2]}" if session else ""


def _next_objects(members: dict[str, Item]) -> tuple[NextObject, ...]:
    nor = members.get("nor")
    if nor is None:
        return ()
    if isinstance(nor.value, tuple):  # v2: nor=("a" "b";r="0-99")
        listed = [(_text(item), str(item.parameters.get("r", ""))) for item in nor.value]
    else:  # v1: nor="a",nrr="0-99"
        listed = [(_text(nor), _text(members.get("nrr")))]
    return tuple(NextObject(unquote(ref), _span(text)) for ref, text in listed[:MAX_NEXT] if ref)


def _span(text: str) -> Span | None:
    match = _RANGE.fullmatch(text)
    if match is None or match[2] is None:
        return None
    start, stop = int(match[1]), int(match[2]) + 1
    return Span(start, stop) if start < stop else None


def resolve(path: str, reference: str) -> str | None:
    """Root-relative path (with query) of a next object named in a request for `path`; None if it leads elsewhere."""
    if urlsplit(reference).scheme or reference.startswith("//") or not reference.isascii():
        return None
    joined = urljoin(path, reference)
    return joined if joined.startswith("/") and not joined.startswith("//") else None
