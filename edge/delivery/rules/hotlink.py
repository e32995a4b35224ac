"""Hotlink rules: which pages may embed what is delivered. A brake on free riders; signed paths are the lock."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit


def may_embed(sources: Sequence[str], hosts: frozenset[str]) -> bool:
    """Whether every Referer or Origin in `sources` names one of `hosts` or a subdomain of ".host".

    No rule (`hosts` empty) and no source (apps, privacy settings) are fine; an opaque origin ("null") is not.
    """
    return not hosts or all(_is_among(source, hosts) for source in sources)


def _is_among(source: str, hosts: frozenset[str]) -> bool:
    try:
        host = urlsplit(source).hostname or ""
    except ValueError:
        return False
    return host in hosts or any(entry.startswith(".") and host.endswith(entry) for entry in hosts)
