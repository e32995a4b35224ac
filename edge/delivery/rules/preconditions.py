"""Conditional requests answered from a stored response (RFC 9110 section 13, RFC 9111 section 4.3.2)."""

from __future__ import annotations

import re

from multidict import CIMultiDict

from edge.delivery.rules.http_date import parse_http_date

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
MAX_TAGS = 64


def entity_tag(headers: CIMultiDict[str]) -> str | None:
    """The response's ETag if it is one valid tag."""
    lines = headers.getall("ETag", ())
    return lines[0] if len(lines) == 1 and _TAG.fullmatch(lines[0]) else None


def strong_etag(headers: CIMultiDict[str]) -> str | None:
    """The ETag if it is strong: equal strong tags mean equal bytes, so parts may be put together."""
    tag = entity_tag(headers)
    return tag if tag is not None and not tag.startswith("W/") else None


def not_modified(request: CIMultiDict[str], stored: CIMultiDict[str], *, now_s: float) -> bool:
    """True when the client's copy is the stored one, so 304 is the answer. If-None-Match beats If-Modified-Since."""
    lines = request.getall("If-None-Match", ())
    if lines:
        return _matches_weakly(", ".join(lines), entity_tag(stored))
    since = request.getall("If-Modified-Since", ())
    modified = stored.get("Last-Modified")
    if len(since) != 1 or modified is None:
        return False
    since_s, modified_s = parse_http_date(since[0], now_s=now_s), parse_http_date(modified, now_s=now_s)
    return since_s is not None and modified_s is not None and modified_s <= since_s


def _matches_weakly(text: str, stored: str | None) -> bool:
    if text.strip(" \t") == "*":
        return True
    if stored is None:
        return False
    wanted = stored.removeprefix("W/")
    return any(tag.removeprefix("W/") == wanted for tag in _TAG.findall(text)[:MAX_TAGS])


def if_range_holds(request: CIMultiDict[str], stored: CIMultiDict[str], *, now_s: float) -> bool:
    """Whether Range may be applied: no If-Range, or it names the stored response strongly (RFC 9110 section 13.1.5).

    A date counts only if it equals Last-Modified and that is at least a second older than Date (section 8.8.2.2).
    """
    value = request.get("If-Range")
    if value is None:
        return True
    if _TAG.fullmatch(value):
        return not value.startswith("W/") and value == strong_etag(stored)
    modified, date = stored.get("Last-Modified"), stored.get("Date")
    if modified is None or date is None or value != modified:
        return False
    modified_s, date_s = parse_http_date(modified, now_s=now_s), parse_http_date(date, now_s=now_s)
    return modified_s is not None and date_s is not None and modified_s + 1 <= date_s
