"""What a client asks for, cleaned: the cache key apart from token and CMCD, and nothing in it that could mislead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from multidict import CIMultiDict

from edge.delivery.rules.cache_control import RequestDirectives, request_directives
from edge.delivery.rules.cmcd import NO_CMCD, Cmcd, parse_cmcd
from edge.delivery.upstream.priority_gate import Priority
from foundation.errors import BadInput
from foundation.tokens.media import split

CMCD_FIELDS = ("CMCD-Request", "CMCD-Object", "CMCD-Status", "CMCD-Session")
MAX_TARGET_CHARS = 8192
_HIDDEN = re.compile(r"%(?:2e|2f|5c|00)", re.IGNORECASE)
_PRINTABLE = re.compile(r"[!-\[\]-~]*")
"""ASCII without spaces, control characters and backslashes."""
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.\-]*://[^/?#]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A request target taken apart."""

    key: str
    """Path and query for the origin and the cache."""
    path: str
    token: str
    """Of `/t/{token}/...`, "" without."""
    cmcd: str
    """The percent-encoded value of the CMCD query argument, "" without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request as the cache sees it."""

    method: str
    target: Target
    headers: CIMultiDict[str]
    directives: RequestDirectives
    cmcd: Cmcd = NO_CMCD
    priority: Priority = Priority.VIEWER

    @property
    def key(self) -> str:
        return self.target.key


def make_ask(method: str, raw_target: str, headers: CIMultiDict[str]) -> Ask:
    """Raises BadInput for a target no cache should pass on."""
    target = parse_target(raw_target)
    told = unquote(target.cmcd) or ",".join(headers[name] for name in CMCD_FIELDS if name in headers)
    cmcd = parse_cmcd(told)
    return Ask(
        method=method,
        target=target,
        headers=headers,
        directives=request_directives(headers),
        cmcd=cmcd,
        priority=priority_of(cmcd),
    )


def parse_target(raw: str) -> Target:
    """Split a request target (origin or absolute form). Raises BadInput.

    Dot segments, plain or percent-encoded, are refused: the origin would resolve them to a path whose bytes do not
    belong under this key, and the edge's service key would reach paths viewers must not.
    """
    if len(raw) > MAX_TARGET_CHARS:
        raise BadInput("the request target is too long")
    if not raw.startswith("/"):
        absolute = _ABSOLUTE.match(raw)
        raw = raw[absolute.end() :] if absolute else ""
        raw = raw if raw.startswith("/") else "/" + raw
    raw = raw.partition("#")[0]
    signed = split(raw)
    path, mark, query = signed.path.partition("?")
    if not path.startswith("/") or path.startswith("//") or not _is_printable(raw) or _climbs(path):
        raise BadInput("the path must be in normal form: no dot segments, no control characters")
    cmcd, rest = _take_cmcd(query) if "CMCD=" in query else ("", query)
    return Target(key=path + (mark + rest if rest or not cmcd else ""), path=path, token=signed.token, cmcd=cmcd)


def priority_of(cmcd: Cmcd) -> Priority:
    """A player that starts or has run dry goes first, one that warms up something goes behind the viewers."""
    if cmcd.is_preloading:
        return Priority.READ_AHEAD
    return Priority.URGENT if cmcd.is_urgent else Priority.VIEWER


def _is_printable(text: str) -> bool:
    return _PRINTABLE.fullmatch(text) is not None


def _climbs(path: str) -> bool:
    if "/." not in path and "%" not in path:  # a path begins with a slash, and so does a segment
        return False
    plain = _HIDDEN.sub(lambda m: {"2e": ".", "2f": "/", "5c": "/", "00": "\0"}[m[0][1:].lower()], path)
    return "\0" in plain or any(segment in (".", "..") for segment in plain.split("/"))


def _take_cmcd(query: str) -> tuple[str, str]:
    """(value of the first CMCD argument, the query without any of them); the order of the rest stays."""
    values = [arg[5:] for arg in query.split("&") if arg.startswith("CMCD=")]
    rest = "&".join(arg for arg in query.split("&") if not arg.startswith("CMCD="))
    return (values[0] if values else "", rest)
