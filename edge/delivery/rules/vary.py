"""Secondary cache keys (RFC 9111 section 4.1): which request fields a response depends on, and their normal form."""

from __future__ import annotations

import re

from multidict import CIMultiDict

from edge.delivery.rules.content_coding import CODING, accepted, takes_gzip

VaryNames = tuple[str, ...]
VaryValues = tuple[str | None, ...]

TAKES_GZIP = "accept-encoding;gzip"
"""A name of our own: of Accept-Encoding only whether it takes gzip matters."""
_SPACES = re.compile(r"[ \t]+")
_CASELESS = frozenset({"accept-language", "accept-charset"})


def vary_names(response: CIMultiDict[str]) -> VaryNames | None:
    """Lower-case names of the Vary lines, sorted, each once; None for `*` anywhere: never reusable."""
    names: set[str] = set()
    for line in response.getall("Vary", ()):
        for name in line.split(","):
            name = name.strip(" \t").lower()
            if name == "*":
                return None
            if name:
                names.add(name)
    return tuple(sorted(names))


def vary_values(names: VaryNames, request: CIMultiDict[str]) -> VaryValues:
    """The request's normalised values of `names`; None marks an absent field, which differs from an empty one."""
    return tuple(_normal(name, request.getall(field_of(name), ())) for name in names)


def field_of(name: str) -> str:
    """The request field behind a name, in lower case."""
    return "accept-encoding" if name == TAKES_GZIP else name


def _normal(name: str, lines: list[str] | tuple[()]) -> str | None:
    """Lines joined, white space around commas removed: differences that carry no meaning share one variant."""
    if not lines:
        return None
    if name == "accept-encoding":
        return accepted(lines)
    if name == TAKES_GZIP:
        return CODING if takes_gzip(lines) else None
    members = (_SPACES.sub(" ", member.strip(" \t")) for member in ",".join(lines).split(","))
    text = ",".join(member for member in members if member)
    text = text.encode("utf-8", "backslashreplace").decode()  # bytes that are no text must not break what is stored
    return text.lower() if name in _CASELESS else text
