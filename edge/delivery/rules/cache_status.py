"""The Cache-Status field (RFC 9211): what this cache did, one member per cache, origin-most first."""

from __future__ import annotations

import re
from enum import StrEnum

from edge.delivery.rules.structured_field import quote


class Forward(StrEnum):
    """Why a request went on towards the origin (`fwd`)."""

    BYPASS = "bypass"
    METHOD = "method"
    URI_MISS = "uri-miss"
    VARY_MISS = "vary-miss"
    MISS = "miss"
    REQUEST = "request"
    STALE = "stale"
    PARTIAL = "partial"


_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")


def member_name(name: str) -> str:
    """A cache's name as a structured-field item: a token if it can be one, else a string."""
    return name if _TOKEN.fullmatch(name) else quote(name)


def hit(name: str, *, ttl_s: float, detail: str = "") -> str:
    """`ttl_s` < 0 when a stale answer was served."""
    return f"{name}; hit; ttl={int(ttl_s // 1)}" + (f"; detail={quote(detail)}" if detail else "")


def forwarded(
    name: str,
    why: Forward,
    *,
    status: int | None = None,
    ttl_s: float | None = None,
    stored: bool = False,
    collapsed: bool = False,
    detail: str = "",
) -> str:
    parts = [name, f"fwd={why}"]
    if status is not None:
        parts.append(f"fwd-status={status}")
    if ttl_s is not None:
        parts.append(f"ttl={int(ttl_s // 1)}")
    if stored:
        parts.append("stored")
    if collapsed:
        parts.append("collapsed")
    if detail:
        parts.append(f"detail={quote(detail)}")
    return "; ".join(parts)
