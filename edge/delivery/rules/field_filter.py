"""Which header fields cross the edge: hop-by-hop fields never do, and some are the edge's own."""

from __future__ import annotations

from collections.abc import Mapping

from multidict import CIMultiDict

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""RFC 9110 section 7.6.1 and RFC 9111 section 3.1."""
CONDITIONS = frozenset({"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range"})
_NOT_UPDATED_BY_304 = HOP_BY_HOP | {"content-length", "content-encoding", "content-range", "content-type", "set-cookie"}
"""RFC 9111 section 3.2: fields that describe the stored bytes keep their stored value."""


def end_to_end(headers: CIMultiDict[str], *, without: frozenset[str] = frozenset()) -> CIMultiDict[str]:
    """A copy without hop-by-hop fields, those Connection names, and `without` (lower case)."""
    dropped = HOP_BY_HOP | without
    if "Connection" in headers:
        dropped |= _named_by_connection(headers)
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


def without(headers: Mapping[str, str], names: frozenset[str]) -> CIMultiDict[str]:
    """A copy without the fields called `names` (lower case)."""
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in names)


def _named_by_connection(headers: CIMultiDict[str]) -> set[str]:
    return {name.strip(" \t").lower() for line in headers.getall("Connection", ()) for name in line.split(",")}


def updated_by_304(stored: CIMultiDict[str], fresh: CIMultiDict[str]) -> CIMultiDict[str]:
    """Stored fields with those the 304 brought in their place; the rest stay (RFC 9111 section 3.2)."""
    news = end_to_end(fresh, without=_NOT_UPDATED_BY_304)
    replaced = {name.lower() for name in news}
    if "date" in replaced and "age" not in replaced:
        replaced.add("age")  # the old Age was relative to the old Date
    merged = CIMultiDict((name, value) for name, value in stored.items() if name.lower() not in replaced)
    merged.extend(news)
    return merged
