"""What to do with a GET or HEAD, given what is stored. Pure: the table of the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from edge.delivery.ask import Ask
from edge.delivery.rules.cache_status import Forward
from edge.delivery.store.response_index import Variants
from edge.delivery.store.stored_response import StoredResponse

SERVER_ERRORS = frozenset({500, 502, 503, 504})
"""RFC 5861 section 4."""


class Step(StrEnum):
    SERVE = "serve"
    """Fresh: answer from the store."""
    SERVE_AND_REFRESH = "serve-and-refresh"
    """Stale inside stale-while-revalidate: answer now, revalidate behind it."""
    VALIDATE = "validate"
    """Stale with a validator: ask the origin whether it is current."""
    FETCH = "fetch"
    TIMEOUT = "timeout"
    """only-if-cached without a usable answer: 504 (RFC 9111 section 5.2.1.7)."""


class StaleCause(StrEnum):
    UNREACHABLE = "unreachable"
    SERVER_ERROR = "server-error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    step: Step
    stored: StoredResponse | None = None
    forward: Forward = Forward.URI_MISS


def decide(
    variants: Variants,
    ask: Ask,
    *,
    now_s: float,
    obey_client: bool,
    may_be_purged: Callable[[StoredResponse], bool] = lambda stored: False,
) -> Decision:
    """The step for `ask` given the stored variants of its key; what may be purged is not served unasked."""
    stored = select(variants, ask)
    if stored is None:
        why = Forward.VARY_MISS if any(not v.answers(ask.headers) for v in variants) else Forward.URI_MISS
        return _unless_only_if_cached(ask, Decision(step=Step.FETCH, forward=why))
    if may_be_purged(stored):
        step = Step.VALIDATE if stored.has_validator else Step.FETCH
        return _unless_only_if_cached(ask, Decision(step=step, stored=stored, forward=Forward.STALE))
    if stored.is_fresh(now_s) and not (obey_client and _client_wants_newer(stored, ask, now_s)):
        return Decision(step=Step.SERVE, stored=stored)
    if _may_refresh_behind(stored, now_s) and not obey_client_no_cache(ask, obey_client):
        return Decision(step=Step.SERVE_AND_REFRESH, stored=stored, forward=Forward.STALE)
    if obey_client and _client_takes_stale(stored, ask, now_s):
        return Decision(step=Step.SERVE, stored=stored, forward=Forward.STALE)
    why = Forward.REQUEST if stored.is_fresh(now_s) else Forward.STALE
    step = Step.VALIDATE if stored.has_validator else Step.FETCH
    return _unless_only_if_cached(ask, Decision(step=step, stored=stored, forward=why))


def select(variants: Variants, ask: Ask) -> StoredResponse | None:
    """The most recent variant for the request's Vary-listed fields that may be used for it (RFC 9111 section 4.1)."""
    usable = [v for v in variants if v.answers(ask.headers) and _usable_with_authorization(v, ask)]
    return max(usable, key=_response_time, default=None)


def _response_time(stored: StoredResponse) -> float:
    return stored.response_s


def _usable_with_authorization(stored: StoredResponse, ask: Ask) -> bool:
    """RFC 9111 section 3.5, read strictly: what another's credentials might have changed is not handed over."""
    if "Authorization" not in ask.headers:
        return True
    directives = stored.directives
    return directives.public or directives.must_revalidate or directives.s_maxage_s is not None


def _unless_only_if_cached(ask: Ask, otherwise: Decision) -> Decision:
    return Decision(step=Step.TIMEOUT) if ask.directives.only_if_cached else otherwise


def obey_client_no_cache(ask: Ask, obey_client: bool) -> bool:
    return obey_client and ask.directives.no_cache


def _client_wants_newer(stored: StoredResponse, ask: Ask, now_s: float) -> bool:
    wish = ask.directives
    if wish.no_cache or (wish.max_age_s is not None and stored.age_s(now_s) > wish.max_age_s):
        return True
    return wish.min_fresh_s is not None and stored.ttl_s(now_s) < wish.min_fresh_s


def _client_takes_stale(stored: StoredResponse, ask: Ask, now_s: float) -> bool:
    limit = ask.directives.max_stale_s
    return limit is not None and not stored.directives.forbids_stale and -stored.ttl_s(now_s) <= limit


def _may_refresh_behind(stored: StoredResponse, now_s: float) -> bool:
    """RFC 5861 section 3."""
    window_s = stored.directives.stale_while_revalidate_s
    if window_s is None or stored.directives.forbids_stale:
        return False
    return -stored.ttl_s(now_s) <= window_s


def stale_allowed(stored: StoredResponse, cause: StaleCause, *, now_s: float, default_s: float) -> bool:
    """Whether a stale answer beats an error: inside stale-if-error, or by default when nobody answers at all."""
    if stored.directives.forbids_stale:
        return False
    staleness_s = -stored.ttl_s(now_s)
    if (window_s := stored.directives.stale_if_error_s) is not None:
        return staleness_s <= window_s
    return cause is StaleCause.UNREACHABLE and staleness_s <= default_s
