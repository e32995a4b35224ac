"""Releases of the feed's model and how they reach viewers."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from foundation.wire import Wire

RELEASE_NAME = r"^[a-z0-9][a-z0-9.-]{0,63}$"
MAX_RELEASE_BYTES = 128 * 1024 * 1024
ReleaseName = Annotated[str, Meta(pattern=RELEASE_NAME)]
CANDIDATE = "candidate"
"""Arm of the viewers who get the candidate; a rollout is the experiment named like its candidate."""


class ArmTally(Wire, frozen=True, kw_only=True):
    """Watch quantiles of one arm at one PoP since it started: count, mean, sum of squared deviations."""

    events: int = 0
    mean: float = 0.0
    squares: float = 0.0


class ArmEffect(Wire, frozen=True, kw_only=True):
    """Mean watch quantile of an arm minus control's, with a 95 % interval that stays valid while one looks on."""

    difference: float
    low: float
    high: float


class Rollout(Wire, frozen=True, kw_only=True):
    """What every PoP is to serve. "" is what a PoP's own settings say."""

    serving: str = ""
    candidate: str = ""
    share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Of all viewers, by a hash that is the same everywhere."""
    shadow: bool = False
    """The candidate's lists are made beside the served ones and compared; nobody sees them."""


class RolloutWish(Wire, frozen=True, kw_only=True):
    """Body of PUT /api/v1/rollout: the whole wish, an absent field is its default."""

    serving: ReleaseName | None = None
    candidate: ReleaseName | None = None
    share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    shadow: bool = False


class ReleaseView(Wire, frozen=True, kw_only=True):
    """A release in the registry."""

    name: str
    size_bytes: int
    sha256: str
    uploaded_at_ms: int


class RolloutView(Wire, frozen=True, kw_only=True):
    """GET /api/v1/rollout."""

    rollout: Rollout
    changed_at_ms: int
    reason: str
    """Who or what changed it last."""
    tallies: dict[str, ArmTally] = msgspec.field(default_factory=dict)
    """By "experiment=arm", over all PoPs."""
    effects: dict[str, ArmEffect] = msgspec.field(default_factory=dict)
    """By label, of every arm that has a control to compare with."""
    stopped: dict[str, str] = msgspec.field(default_factory=dict)
    """Label of each arm that was stopped everywhere, and why."""
