"""How much an account behaves like a program (SPEC A6), and what follows from it. Pure.

Each part is 0 (a person) to 1 and looks at the last day unless it says otherwise; the score is their weighted sum.
No part can ban alone: a busy creator, a binge watcher or a shared tablet stays far below the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

BAN_ABOVE = 0.8
LIFT_BELOW = 0.6
"""Between the two a decision stays as it is: a score at the threshold does not flicker."""
WEIGHTS = {"posting": 0.3, "watching": 0.25, "engagement": 0.2, "device": 0.15, "profile": 0.1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the stores say of one account."""

    videos_posted: int = 0
    watches: int = 0
    active_hours: int = 0
    """Different hours of the day with a watch."""
    same_watches: int = 0
    """Watches that end at the same percent of their video as the most others of them do, the full length apart."""
    likes: int = 0
    follows: int = 0
    comments: int = 0
    same_comments: int = 0
    """Comments whose text is the one used most."""
    accounts_of_device: int = 1
    """The most accounts that any of its devices signed in to within 30 days."""
    has_bio: bool = False
    has_avatar: bool = False
    has_name: bool = False
    """A display name of its own."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """0 to 1 each; names as in WEIGHTS."""

    posting: float = 0.0
    watching: float = 0.0
    engagement: float = 0.0
    device: float = 0.0
    profile: float = 0.0

    @property
    def score(self) -> float:
        values: dict[str, float] = msgspec.structs.asdict(self)
        return round(sum(weight * values[name] for name, weight in WEIGHTS.items()), 4)


def parts_of(evidence: Evidence) -> Parts:
    return Parts(
        posting=_ramp(evidence.videos_posted, 5, 25),
        watching=_watching(evidence),
        engagement=_engagement(evidence),
        device=_ramp(evidence.accounts_of_device, 3, 8),
        profile=1 - (evidence.has_bio + evidence.has_avatar + evidence.has_name) / 3,
    )


def shadow_banned(*, score: float, now: bool, override: str | None) -> bool:
    """The decision after a judgement; `override` of an operator ("on", "off") holds whatever the score."""
    if override is not None:
        return override == "on"
    return score >= LIFT_BELOW if now else score > BAN_ABOVE


def _watching(evidence: Evidence) -> float:
    """Around the clock, more than a day holds, or each video left at the same point; too few say nothing."""
    if evidence.watches < 50:
        return 0.0
    return _either(
        _ramp(evidence.active_hours, 18, 24),
        _ramp(evidence.watches, 2000, 6000),
        _ramp(evidence.same_watches / evidence.watches, 0.5, 0.9),
    )


def _engagement(evidence: Evidence) -> float:
    """More actions than a hand makes, likes of what was never watched, one text again and again."""
    unwatched = evidence.likes / max(evidence.watches, 1) if evidence.likes >= 50 else 0.0
    repeated = evidence.same_comments / evidence.comments if evidence.comments >= 10 else 0.0
    return _either(
        _ramp(evidence.likes + evidence.follows + evidence.comments, 300, 900),
        _ramp(unwatched, 1.0, 3.0),
        _ramp(repeated, 0.5, 0.9),
    )


def _ramp(value: float, person: float, program: float) -> float:
    """0 up to `person`, 1 from `program`, a line between."""
    return min(1.0, max(0.0, (value - person) / (program - person)))


def _either(*signs: float) -> float:
    """Signs that add up without passing 1: 1 - the product of their opposites."""
    none = 1.0
    for sign in signs:
        none *= 1 - sign
    return round(1 - none, 4)
