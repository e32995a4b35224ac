"""From a stored response and a request to the answer: 200, 206, 304 or 416, with its header fields. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from multidict import CIMultiDict

from edge.delivery.ask import Ask
from edge.delivery.rules.byte_range import Span, coalesce, content_range, parse_range, satisfiable
from edge.delivery.rules.preconditions import if_range_holds, not_modified
from edge.delivery.store.stored_response import StoredResponse

UNKNOWN_TOTAL = -1
ACCESS_FIELD = "Edge-Access"
"""From the origin: `signed` means only a valid path token opens this. Not sent on."""
_OWN_FIELDS = frozenset({"age", "edge-access", "content-length", "cache-status"})
_IN_304 = frozenset(
    {"cache-control", "cdn-cache-control", "content-location", "date", "etag", "expires", "last-modified", "vary"}
    | {"access-control-allow-origin", "access-control-expose-headers", "timing-allow-origin"}
)
BOUNDARY = "popreel-byteranges-7d1f4e"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to send: head, and the spans of the stored body that make the payload.

    Several spans make a multipart/byteranges body; `parts` are then the bytes before each span and after the last.
    """

    status: int
    reason: str
    headers: CIMultiDict[str]
    spans: tuple[Span, ...] = ()
    parts: tuple[bytes, ...] = ()


def answer(stored: StoredResponse, ask: Ask, *, now_s: float, cache_status: str) -> Answer:
    """The answer to `ask` out of `stored`, fresh or not (the caller decided that it may be served)."""
    common = _own_fields(stored, now_s=now_s, cache_status=cache_status)
    if stored.status == 200 and not_modified(ask.headers, stored.headers, now_s=now_s):
        kept = CIMultiDict((name, value) for name, value in stored.fields if name.lower() in _IN_304)
        kept.extend(common)
        return Answer(status=304, reason="Not Modified", headers=kept)
    headers = CIMultiDict((name, value) for name, value in stored.fields if name.lower() not in _OWN_FIELDS)
    headers.extend(common)
    if stored.total == UNKNOWN_TOTAL:
        return Answer(status=stored.status, reason=stored.reason, headers=headers)
    if stored.status == 200:
        headers["Accept-Ranges"] = "bytes"
        if (ranged := _ranged(stored, ask, headers, now_s=now_s)) is not None:
            return ranged
    if stored.status not in (204, 304):
        headers["Content-Length"] = str(stored.total)
    spans = (Span(0, stored.total),) if stored.total else ()
    return Answer(status=stored.status, reason=stored.reason, headers=headers, spans=spans)


def _own_fields(stored: StoredResponse, *, now_s: float, cache_status: str) -> CIMultiDict[str]:
    upstream = stored.headers.getall("Cache-Status", ())
    return CIMultiDict({"Age": str(int(stored.age_s(now_s))), "Cache-Status": ", ".join([*upstream, cache_status])})


def _ranged(stored: StoredResponse, ask: Ask, headers: CIMultiDict[str], *, now_s: float) -> Answer | None:
    """206 or 416; None when the whole body is the answer (Range absent, not valid, or If-Range failed)."""
    lines = ask.headers.getall("Range", ())
    if ask.method != "GET" or len(lines) != 1:
        return None
    specs = parse_range(lines[0])
    if specs is None or not if_range_holds(ask.headers, stored.headers, now_s=now_s):
        return None
    spans = satisfiable(specs, stored.total)
    if not spans:
        return _not_satisfiable(stored, headers)
    if len(spans) > 1:
        spans = coalesce(spans)
    if len(spans) > 1:
        return _multipart(stored, headers, spans)
    headers["Content-Range"] = content_range(spans[0], stored.total)
    headers["Content-Length"] = str(spans[0].size)
    return Answer(status=206, reason="Partial Content", headers=headers, spans=spans)


def _not_satisfiable(stored: StoredResponse, headers: CIMultiDict[str]) -> Answer:
    for name in ("Content-Type", "Content-Encoding", "ETag", "Last-Modified"):
        headers.popall(name, None)
    headers["Content-Range"] = f"bytes */{stored.total}"
    headers["Content-Length"] = "0"
    return Answer(status=416, reason="Range Not Satisfiable", headers=headers)


def _multipart(stored: StoredResponse, headers: CIMultiDict[str], spans: tuple[Span, ...]) -> Answer:
    kind = headers.get("Content-Type", "application/octet-stream")
    opening = f"\r\n--{BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Range: "
    heads = (f"{opening}{content_range(span, stored.total)}\r\n\r\n".encode() for span in spans)
    parts = (*heads, f"\r\n--{BOUNDARY}--\r\n".encode())
    headers["Content-Type"] = f"multipart/byteranges; boundary={BOUNDARY}"
    headers["Content-Length"] = str(sum(map(len, parts)) + sum(s.size for s in spans))
    return Answer(status=206, reason="Partial Content", headers=headers, spans=spans, parts=parts)
