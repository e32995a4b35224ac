"""Order of pathways for a viewer: a pure function of fleet, viewer and table.

US and Europe go to Cloudflare, Asia-Pacific to CloudFront, enterprise viewers to Akamai; our own PoPs come first where
they are near. What is sick, draining or switched off comes last and is named only when nothing else is left, so that a
wrong health signal cannot black out playback.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Kind(StrEnum):
    POP = "pop"
    CDN = "cdn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pathway:
    """One way to the bytes. `id` is a steering PATHWAY-ID: letters, digits, ".", "-", "_"."""

    id: str
    kind: Kind
    base_url: str
    region: str = ""
    """Where it stands ("us-east"); "" for a CDN, which is everywhere."""
    serves: tuple[str, ...] = ()
    """Continents ("us", "eu", "ap") the policy prefers this CDN for."""
    tiers: tuple[str, ...] = ()
    """Viewer tiers the policy prefers it for, before any continent."""
    healthy: bool = True
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    region: str = ""
    tier: str = ""


class _Preference(IntEnum):
    TIER = 0
    SAME_REGION = 1
    SAME_CONTINENT_POP = 2
    POLICY_CDN = 3
    OTHER_POP = 4
    OTHER_CDN = 5
    SICK = 6
    OFF = 7


def continent(region: str) -> str:
    """ "ap" of "ap-tokyo"; "" of ""."""
    return region.split("-", 1)[0].lower()


def order(pathways: Iterable[Pathway], viewer: Viewer) -> tuple[Pathway, ...]:
    """Pathways best first; ties by id, so every router answers the same. Switched-off ones are left out while any
    other exists."""
    ranked = sorted(pathways, key=lambda pathway: (_preference(pathway, viewer), pathway.id))
    usable = tuple(p for p in ranked if p.enabled)
    return usable or tuple(ranked)


def _preference(pathway: Pathway, viewer: Viewer) -> _Preference:
    here = continent(viewer.region)
    if not pathway.enabled:
        return _Preference.OFF
    if not pathway.healthy:
        return _Preference.SICK
    if viewer.tier and viewer.tier in pathway.tiers:
        return _Preference.TIER
    if pathway.kind is Kind.POP:
        if pathway.region and pathway.region == viewer.region:
            return _Preference.SAME_REGION
        return _Preference.SAME_CONTINENT_POP if here and continent(pathway.region) == here else _Preference.OTHER_POP
    return _Preference.POLICY_CDN if here and here in pathway.serves else _Preference.OTHER_CDN
