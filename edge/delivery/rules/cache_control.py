"""Cache-Control of requests and responses, and its targeted form CDN-Cache-Control (RFC 9111 section 5.2, RFC 9213)."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from multidict import CIMultiDict

from edge.delivery.rules.structured_field import Item, parse_dictionary

MAX_DELTA_S = 2**31
"""RFC 9111 section 1.2.2: a larger delta-seconds counts as this."""
TARGETED_FIELDS = ("Edge-Cache-Control", "CDN-Cache-Control")
"""Our target list (RFC 9213 section 2.2), first wins."""

_DIRECTIVE = re.compile(  # name, name=token or name="quoted string", up to the comma
    r"[ \t]*(?P<name>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)"
    r'(?:=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^,"\s]*)))?[ \t]*(?:,|$)'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseDirectives:
    """What a response allows a shared cache. Times are seconds; None where absent, 0 where present but not valid."""

    targeted: bool = False
    """From a targeted field: Cache-Control and Expires say nothing then."""
    no_store: bool = False
    no_cache: bool = False
    private: bool = False
    public: bool = False
    must_revalidate: bool = False
    must_understand: bool = False
    max_age_s: int | None = None
    s_maxage_s: int | None = None
    stale_while_revalidate_s: int | None = None
    stale_if_error_s: int | None = None

    @property
    def forbids_stale(self) -> bool:
        """RFC 9111 section 4.2.4: these directives bar serving stale, disconnected or not."""
        return self.must_revalidate or self.no_cache or (self.s_maxage_s is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDirectives:
    """The client's wishes; all are advisory (RFC 9111 section 5.2.1)."""

    only_if_cached: bool = False
    no_store: bool = False
    no_cache: bool = False
    max_age_s: int | None = None
    min_fresh_s: int | None = None
    max_stale_s: int | None = None


def parse_directives(lines: Iterable[str]) -> dict[str, str | None]:
    """Directives of all lines merged, names in lower case; the first of a repeated one counts.

    Quoted arguments are read as one piece, so `x="max-age=9"` sets no max-age. Text that is no directive is stepped
    over to the next comma outside quotes.
    """
    found: dict[str, str | None] = {}
    for line in lines:
        at = 0
        while at < len(line):
            match = _DIRECTIVE.match(line, at)
            if match is None:
                at = _next_comma(line, at) + 1
                continue
            argument = match["quoted"] if match["quoted"] is not None else match["bare"]
            found.setdefault(match["name"].lower(), argument)
            at = max(match.end(), at + 1)
    return found


def _next_comma(line: str, at: int) -> int:
    quoted = False
    while at < len(line):
        if line[at] == '"':
            quoted = not quoted
        elif line[at] == "," and not quoted:
            return at
        at += 1
    return at


def delta_seconds(text: str | None) -> int:
    """Digits only, capped at 2**31; anything else is 0, which makes the answer stale rather than too fresh."""
    if text is None or not (text.isascii() and text.isdigit()):
        return 0
    return MAX_DELTA_S if len(text.lstrip("0")) > 10 else min(int(text), MAX_DELTA_S)


def response_directives(headers: CIMultiDict[str], *, targets: Sequence[str] = TARGETED_FIELDS) -> ResponseDirectives:
    """Directives that count for this cache: those of the first valid, non-empty targeted field, else Cache-Control."""
    for name in targets:
        if (lines := headers.getall(name, ())) and (targeted := _targeted(", ".join(lines))) is not None:
            return targeted
    return _untargeted(tuple(headers.getall("Cache-Control", ())))


@functools.lru_cache(maxsize=256)
def _untargeted(lines: tuple[str, ...]) -> ResponseDirectives:
    """An origin says few different things: the same text is read once."""
    return _from_arguments(parse_directives(lines), targeted=False)


def _from_arguments(found: dict[str, str | None], *, targeted: bool) -> ResponseDirectives:
    def seconds(name: str) -> int | None:
        return delta_seconds(found[name]) if name in found else None

    return ResponseDirectives(
        targeted=targeted,
        no_store="no-store" in found,
        no_cache="no-cache" in found,  # with field names too: treating it as unqualified is allowed and safe
        private="private" in found,
        public="public" in found,
        must_revalidate="must-revalidate" in found or "proxy-revalidate" in found,
        must_understand="must-understand" in found,
        max_age_s=seconds("max-age"),
        s_maxage_s=seconds("s-maxage"),
        stale_while_revalidate_s=seconds("stale-while-revalidate"),
        stale_if_error_s=seconds("stale-if-error"),
    )


_TIMES = ("max-age", "s-maxage", "stale-while-revalidate", "stale-if-error")


def _targeted(text: str) -> ResponseDirectives | None:
    """RFC 9213 section 2.1: a Dictionary; None when empty, not parsable or a time is no integer."""
    members = parse_dictionary(text)
    if not members:
        return None
    found: dict[str, str | None] = {}
    for name, item in members.items():
        argument = _targeted_argument(name, item)
        if argument is None:
            return None
        if argument != "?0":
            found[name] = argument
    return _from_arguments(found, targeted=True)


def _targeted_argument(name: str, item: Item) -> str | None:
    """The argument as text, "?0" for false, None for a time of the wrong type."""
    if name in _TIMES:
        integer = isinstance(item.value, int) and not isinstance(item.value, bool)
        return str(item.value) if integer else None
    return "?0" if item.value is False else ""


def request_directives(headers: CIMultiDict[str]) -> RequestDirectives:
    """Directives of a request; Pragma counts only where there is no Cache-Control (RFC 9111 section 5.4)."""
    lines = headers.getall("Cache-Control", ())
    if not lines:
        return RequestDirectives(no_cache="no-cache" in parse_directives(headers.getall("Pragma", ())))
    found = parse_directives(lines)

    def seconds(name: str) -> int | None:
        return delta_seconds(found[name]) if name in found else None

    max_stale = None
    if "max-stale" in found:
        max_stale = delta_seconds(found["max-stale"]) if found["max-stale"] else MAX_DELTA_S
    return RequestDirectives(
        only_if_cached="only-if-cached" in found,
        no_store="no-store" in found,
        no_cache="no-cache" in found,
        max_age_s=seconds("max-age"),
        min_fresh_s=seconds("min-fresh"),
        max_stale_s=max_stale,
    )
