"""How long an answer is fresh and how old it is (RFC 9111 section 4.2)."""

from __future__ import annotations

from multidict import CIMultiDict

from edge.delivery.rules.cache_control import MAX_DELTA_S, ResponseDirectives, delta_seconds
from edge.delivery.rules.http_date import parse_http_date

HEURISTICALLY_CACHEABLE = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
"""RFC 9110 section 15.1 (206 is handled as a part of 200)."""
HEURISTIC_SHARE = 0.1
MAX_HEURISTIC_S = 86_400.0


def parse_age(headers: CIMultiDict[str]) -> int:
    """Seconds of the first member of the first Age line; 0 unless it is digits only (RFC 9111 section 5.1)."""
    lines = headers.getall("Age", ())
    if not lines:
        return 0
    return delta_seconds(lines[0].split(",", 1)[0].strip(" \t"))


def initial_age_s(headers: CIMultiDict[str], *, request_s: float, response_s: float) -> float:
    """`corrected_initial_age` of section 4.2.3: the larger of what Date implies and what Age says plus the delay."""
    date_s = _single_date(headers, "Date", response_s)
    apparent = max(0.0, response_s - date_s) if date_s is not None else 0.0
    return max(apparent, parse_age(headers) + max(0.0, response_s - request_s))


def lifetime_s(
    headers: CIMultiDict[str], directives: ResponseDirectives, *, status: int, response_s: float, heuristics: bool
) -> float:
    """Freshness lifetime in seconds from the moment the origin made the answer; 0 when nothing says it may be reused.

    Order: s-maxage, max-age, Expires - Date, then (if `heuristics`) a tenth of the time since Last-Modified.
    """
    if directives.s_maxage_s is not None:
        return float(directives.s_maxage_s)
    if directives.max_age_s is not None:
        return float(directives.max_age_s)
    if directives.targeted:
        return 0.0
    if "Expires" in headers:
        expires_s = _single_date(headers, "Expires", response_s)
        date_s = _single_date(headers, "Date", response_s)
        return 0.0 if expires_s is None else max(0.0, expires_s - (response_s if date_s is None else date_s))
    return _heuristic_s(headers, directives, status, response_s) if heuristics else 0.0


def _heuristic_s(headers: CIMultiDict[str], directives: ResponseDirectives, status: int, response_s: float) -> float:
    if status not in HEURISTICALLY_CACHEABLE and not directives.public:
        return 0.0
    modified_s = _single_date(headers, "Last-Modified", response_s)
    date_s = _single_date(headers, "Date", response_s)
    if modified_s is None:
        return 0.0
    return min(MAX_HEURISTIC_S, max(0.0, (response_s if date_s is None else date_s) - modified_s) * HEURISTIC_SHARE)


def _single_date(headers: CIMultiDict[str], name: str, now_s: float) -> float | None:
    """The field's date; None if absent, not valid, or given more than once (no telling which one counts)."""
    lines = headers.getall(name, ())
    return parse_http_date(lines[0], now_s=now_s) if len(lines) == 1 else None


def current_age_s(*, initial_s: float, response_s: float, now_s: float) -> float:
    """`current_age`: the initial age plus the time spent here.

    A response from the future means the clock stepped back across a restart: the age is then unknown, so the answer
    counts as very old and is revalidated.
    """
    if now_s < response_s - 1.0:
        return float(MAX_DELTA_S)
    return initial_s + max(0.0, now_s - response_s)
