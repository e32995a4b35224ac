"""Cross-origin access for players: open fields on answers, preflights answered here."""

from __future__ import annotations

from multidict import CIMultiDict, CIMultiDictProxy

EXPOSED = "Accept-Ranges, Age, Cache-Status, CMSD-Dynamic, CMSD-Static, Content-Length, Content-Range, Date, ETag"
_ALLOWED = "Range, If-None-Match, If-Range, If-Modified-Since, CMCD-Request, CMCD-Object, CMCD-Status, CMCD-Session"


def allow(headers: CIMultiDict[str], origin: str) -> None:
    """Add what lets a player elsewhere read the answer and its timing, where the origin did not say otherwise."""
    if origin and "Access-Control-Allow-Origin" not in headers:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = EXPOSED
        headers["Timing-Allow-Origin"] = origin


def is_preflight(headers: CIMultiDict[str] | CIMultiDictProxy[str]) -> bool:
    return "Origin" in headers and "Access-Control-Request-Method" in headers


def preflight_fields(origin: str) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
        "Access-Control-Allow-Headers": _ALLOWED,
        "Access-Control-Max-Age": "86400",
    }
