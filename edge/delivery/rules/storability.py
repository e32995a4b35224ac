"""May this response be stored and reused for others (RFC 9111 section 3)?"""

from __future__ import annotations

from enum import StrEnum

from multidict import CIMultiDict

from edge.delivery.rules.cache_control import ResponseDirectives
from edge.delivery.rules.freshness import HEURISTICALLY_CACHEABLE
from edge.delivery.rules.vary import vary_names

UNDERSTOOD = HEURISTICALLY_CACHEABLE | {206, 302, 303, 304, 307, 400, 403, 416, 500, 502, 503, 504}


class Refusal(StrEnum):
    """Why a response is not stored; goes into Cache-Status `detail` and the miss class."""

    METHOD = "method"
    NO_STORE = "no-store"
    PRIVATE = "private"
    AUTHORIZATION = "authorization"
    VARY_STAR = "vary-star"
    NOT_EXPLICIT = "no-freshness"
    SET_COOKIE = "set-cookie"
    STATUS = "status"
    TOO_LARGE = "too-large"
    UNDELIMITED = "close-delimited"


def refusal(
    *,
    method: str,
    status: int,
    request: CIMultiDict[str],
    response: CIMultiDict[str],
    directives: ResponseDirectives,
    lifetime_s: float,
    has_validator: bool,
    store_set_cookie: bool,
) -> Refusal | None:
    """The reason not to store a final response to a request, None to store it.

    A response without freshness is stored only if a validator makes it worth revalidating.
    """
    if method not in ("GET", "HEAD"):
        return Refusal.METHOD
    if status < 200 or status == 304:
        return Refusal.STATUS
    understood = directives.must_understand and status in UNDERSTOOD
    if directives.no_store and not understood:
        return Refusal.NO_STORE
    if directives.must_understand and status not in UNDERSTOOD:
        return Refusal.STATUS
    if directives.private:
        return Refusal.PRIVATE
    if "Authorization" in request and not _shareable_despite_authorization(directives):
        return Refusal.AUTHORIZATION
    if vary_names(response) is None:
        return Refusal.VARY_STAR
    if "Set-Cookie" in response and not store_set_cookie:
        return Refusal.SET_COOKIE
    if lifetime_s <= 0 and not has_validator:
        return Refusal.NOT_EXPLICIT
    return None


def _shareable_despite_authorization(directives: ResponseDirectives) -> bool:
    """RFC 9111 section 3.5."""
    return directives.public or directives.must_revalidate or directives.s_maxage_s is not None
