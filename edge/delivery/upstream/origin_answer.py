"""What an answer of the origin means: what would be stored of it, and why it may not be. No sockets, no waiting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from multidict import CIMultiDict

from edge.delivery.answer import UNKNOWN_TOTAL
from edge.delivery.ask import Ask
from edge.delivery.rules import freshness
from edge.delivery.rules.byte_range import Span, parse_content_range
from edge.delivery.rules.cache_control import response_directives
from edge.delivery.rules.field_filter import end_to_end, updated_by_304
from edge.delivery.rules.http_date import format_http_date
from edge.delivery.rules.preconditions import entity_tag, strong_etag
from edge.delivery.rules.storability import Refusal, refusal
from edge.delivery.rules.surrogate_tags import surrogate_tags
from edge.delivery.rules.vary import vary_names, vary_values
from edge.delivery.settings import DeliverySettings
from edge.delivery.store.layout import Layout
from edge.delivery.store.stored_response import StoredResponse
from edge.delivery.upstream.connection import ResponseHead
from edge.delivery.upstream.origin import Exchange

NEGATIVE = frozenset({404, 410})
"""Remembered for `negative_ttl_s` when the origin says nothing about their freshness."""
_NOT_STORED = frozenset({"cmsd-dynamic"})
"""True for one hop at one moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginAnswer:
    """A final response under way, with the times that make its age."""

    exchange: Exchange
    head: ResponseHead
    request_s: float
    response_s: float
    sequence: int
    asked: Span | None
    """The slice asked for, None when the whole was."""


class Describer:
    """Turns answers into what is stored of them."""

    def __init__(self, settings: DeliverySettings, layout: Layout, *, new_body_id: Callable[[], str]) -> None:
        self._settings = settings
        self._layout = layout
        self._new_body_id = new_body_id

    def stored(self, got: OriginAnswer, ask: Ask) -> StoredResponse:
        """What would be stored of this answer. A 206 to our own slice request is a 200 seen through a window."""
        headers = end_to_end(got.head.headers, without=_NOT_STORED)
        status, reason, total = got.head.status, got.head.reason, _length(got.head)
        if got.asked is not None and status == 206:
            told = parse_content_range(headers.popall("Content-Range")[0])
            assert told is not None
            assert told.total is not None
            status, reason, total = 200, "OK", told.total
            headers.popall("Content-Length", None)
        if "Date" not in headers:
            headers["Date"] = format_http_date(got.response_s)
        known = total != UNKNOWN_TOTAL and status == 200 and got.head.delimited
        names = vary_names(headers) or ()
        return StoredResponse(
            key=ask.key,
            vary_names=names,
            vary_values=vary_values(names, ask.headers),
            status=status,
            reason=reason,
            body_id=self._new_body_id(),
            total=total,
            pinned_etag=strong_etag(headers) if known else None,
            layout=self._layout,
            **self._dated(got, headers, status=status),
        )

    def renewed(self, got: OriginAnswer, validating: StoredResponse) -> StoredResponse:
        """After a 304: the same bytes with renewed fields and freshness (RFC 9111 section 4.3.4)."""
        headers = updated_by_304(validating.headers, got.head.headers)
        return with_changes(validating, **self._dated(got, headers, status=validating.status))

    def _dated(self, got: OriginAnswer, headers: CIMultiDict[str], *, status: int) -> dict[str, Any]:
        """The parts of a stored response that a 304 renews."""
        lifetime_s = freshness.lifetime_s(
            headers,
            response_directives(headers),
            status=status,
            response_s=got.response_s,
            heuristics=self._settings.heuristic_freshness,
        )
        if lifetime_s == 0 and status in NEGATIVE and _says_nothing(headers):
            lifetime_s = self._settings.negative_ttl_s
        initial_age_s = freshness.initial_age_s(got.head.headers, request_s=got.request_s, response_s=got.response_s)
        return {
            "fields": tuple((str(name), value) for name, value in headers.items()),  # no istr: it is written to disk
            "request_s": got.request_s,
            "response_s": got.response_s,
            "initial_age_s": initial_age_s,
            "lifetime_s": lifetime_s,
            "tags": surrogate_tags(headers),
            "sequence": got.sequence,
            "purged_soft": False,
        }

    def refusal(self, got: OriginAnswer, ask: Ask, stored: StoredResponse) -> Refusal | None:
        if got.head.status == 206 and got.asked is None:
            return Refusal.STATUS
        if ask.method == "HEAD":
            return Refusal.METHOD
        if not got.head.delimited:
            return Refusal.UNDELIMITED
        why = refusal(
            method=ask.method,
            status=stored.status,
            request=ask.headers,
            response=stored.headers,
            directives=stored.directives,
            lifetime_s=stored.lifetime_s,
            has_validator=stored.has_validator,
            store_set_cookie=self._settings.store_set_cookie,
        )
        if why is None and stored.pinned_etag is None and stored.total > self._settings.max_whole_bytes:
            return Refusal.TOO_LARGE
        return why


def with_changes(stored: StoredResponse, **changes: Any) -> StoredResponse:
    """A changed copy, with none of the original's cached views of its fields."""
    values = {name: getattr(stored, name) for name in stored.__struct_fields__}
    return StoredResponse(**{**values, **changes})


def add_conditions(headers: CIMultiDict[str], validating: StoredResponse | None) -> None:
    """Our own validators (RFC 9111 section 4.3.1)."""
    if validating is None:
        return
    if (tag := entity_tag(validating.headers)) is not None:
        headers["If-None-Match"] = tag
    if (modified := validating.headers.get("Last-Modified")) is not None:
        headers["If-Modified-Since"] = modified


def is_about_another(head: ResponseHead, validating: StoredResponse) -> bool:
    """A 304 naming another ETag does not confirm the stored bytes (RFC 9111 section 4.3.4)."""
    told, held = entity_tag(head.headers), entity_tag(validating.headers)
    return told is not None and held is not None and told.removeprefix("W/") != held.removeprefix("W/")


def is_usable(got: OriginAnswer) -> bool:
    """Whether the answer to a slice request can be worked with: that very slice, pinned; or anything but a range."""
    head = got.head
    if head.status == 416:
        return False
    if head.status != 206:
        return True
    told = parse_content_range(head.headers.get("Content-Range", ""))
    if (
        told is None
        or told.span is None
        or told.total is None
        or strong_etag(head.headers) is None
        or got.asked is None
    ):
        return False
    return told.span == Span(got.asked.start, min(got.asked.stop, told.total))


def _length(head: ResponseHead) -> int:
    if head.status == 204:
        return 0
    text = head.headers.get("Content-Length")
    return int(text) if text is not None and "Transfer-Encoding" not in head.headers else UNKNOWN_TOTAL


def _says_nothing(headers: CIMultiDict[str]) -> bool:
    return not any(name in headers for name in ("Cache-Control", "CDN-Cache-Control", "Edge-Cache-Control", "Expires"))
