"""The part of RFC 8941 structured fields a cache meets: dictionaries and lists in, strings out.

Values are int, float, str (string), Token, bool, bytes (byte sequence), or a tuple of items (inner list); parameters
are kept beside them. Parsing is strict: one fault and the whole field is None, as the RFC demands.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias


class Token(str):
    """A bare word, told apart from a quoted string."""

    __slots__ = ()


Bare: TypeAlias = "int | float | str | bool | bytes"


class Item(NamedTuple):
    """One value (an inner list is a tuple of items) with its parameters."""

    value: Bare | tuple[Item, ...]
    parameters: Mapping[str, Bare]


MAX_FIELD_CHARS = 16_384
_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_NUMBER = re.compile(r"-?(?:[0-9]{1,12}\.[0-9]{1,3}|[0-9]{1,15})(?![0-9.])")
_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")
_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_SIMPLE_MEMBER = re.compile(
    r"([a-z*][a-z0-9_\-.*]*)"
    r"(?:=(?:(-?[0-9]{1,15})|\"([\x20\x21\x23-\x5b\x5d-\x7e]*)\"|([A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*)))?"
    r"(?:(,)[ \t]*|\Z)"
)
_NO_PARAMETERS: Mapping[str, Bare] = MappingProxyType({})
_BYTES = re.compile(r":([A-Za-z0-9+/=]*):")


class _Fault(Exception):
    pass


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise _Fault
        self.at = match.end()
        return match

    def skip(self, characters: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in characters:
            self.at += 1

    def next_member(self) -> bool:
        """Step over a comma to the next member; False at the end. A trailing comma is a fault."""
        self.skip(" \t")
        if self.at == len(self.text):
            return False
        if self.peek() != ",":
            raise _Fault
        self.at += 1
        self.skip(" \t")
        if self.at == len(self.text):
            raise _Fault
        return True


def parse_dictionary(text: str) -> dict[str, Item] | None:
    """Members of a Dictionary (the last of a repeated key wins); {} for an empty field; None if it is not one."""
    if (simple := _simple_dictionary(text)) is not None:
        return simple
    reader = _reader(text)
    try:
        return None if reader is None else _dictionary(reader) if reader.text else {}
    except _Fault:
        return None


def parse_list(text: str) -> list[Item] | None:
    """Members of a List; [] for an empty field; None if it is not one."""
    reader = _reader(text)
    try:
        return None if reader is None else _list(reader) if reader.text else []
    except _Fault:
        return None


def _reader(text: str) -> _Reader | None:
    return None if len(text) > MAX_FIELD_CHARS else _Reader(text.strip(" "))


def _simple_dictionary(text: str) -> dict[str, Item] | None:
    """Members that are bare words, whole numbers, plain strings or tokens, without parameters: most of what players
    send, and a fifth of the time. None where anything else comes up, faults too.
    """
    members: dict[str, Item] = {}
    at, last = 0, len(text)
    if last > MAX_FIELD_CHARS:
        return None
    while at < last:
        found = _SIMPLE_MEMBER.match(text, at)
        if found is None:
            return None
        key, number, string, token, comma = found.groups()
        at = found.end()
        if bool(comma) is (at == last):  # nothing behind a comma, or something behind none
            return None
        value = int(number) if number else string if string is not None else Token(token) if token else True
        members.pop(key, None)
        members[key] = Item(value, _NO_PARAMETERS)
    return members or None


def _dictionary(reader: _Reader) -> dict[str, Item]:
    members: dict[str, Item] = {}
    while True:
        key = reader.take(_KEY)[0]
        if reader.peek() == "=":
            reader.at += 1
            value = _member(reader)
        else:
            value = Item(True, _parameters(reader))
        members.pop(key, None)
        members[key] = value
        if not reader.next_member():
            return members


def _list(reader: _Reader) -> list[Item]:
    members = [_member(reader)]
    while reader.next_member():
        members.append(_member(reader))
    return members


def _member(reader: _Reader) -> Item:
    if reader.peek() != "(":
        return _item(reader)
    reader.at += 1
    inner: list[Item] = []
    while True:
        reader.skip(" ")
        if reader.peek() == ")":
            reader.at += 1
            return Item(tuple(inner), _parameters(reader))
        inner.append(_item(reader))
        if reader.peek() not in (" ", ")"):
            raise _Fault


def _item(reader: _Reader) -> Item:
    return Item(_bare(reader), _parameters(reader))


def _parameters(reader: _Reader) -> dict[str, Bare]:
    found: dict[str, Bare] = {}
    while reader.peek() == ";":
        reader.at += 1
        reader.skip(" ")
        key = reader.take(_KEY)[0]
        found[key] = True
        if reader.peek() == "=":
            reader.at += 1
            found[key] = _bare(reader)
    return found


def _bare(reader: _Reader) -> Bare:
    first = reader.peek()
    if first == '"':
        return re.sub(r"\\(.)", r"\1", reader.take(_STRING)[1])
    if first == "?":
        flag = reader.text[reader.at + 1 : reader.at + 2]
        if flag not in ("0", "1"):
            raise _Fault
        reader.at += 2
        return flag == "1"
    if first == ":":
        try:
            return base64.b64decode(reader.take(_BYTES)[1], validate=False)
        except binascii.Error as err:
            raise _Fault from err
    if first == "-" or first.isdigit():
        number = reader.take(_NUMBER)[0]
        return float(number) if "." in number else int(number)
    return Token(reader.take(_TOKEN)[0])


def quote(text: str) -> str:
    """`text` as a structured-field String; characters it cannot hold become "?"."""
    printable = "".join(c if " " <= c <= "~" else "?" for c in text)
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'
