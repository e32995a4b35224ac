"""Between PoPs and the control plane."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from foundation.wire import Wire
from foundation.wire.models import ArmTally, Rollout


class PopHeartbeat(Wire, frozen=True, kw_only=True):
    """Body of PUT /internal/v1/pops/{popId}, every few seconds; registers the PoP when it is new."""

    pop_id: str
    region: str
    base_url: str
    version: str = ""
    catalogue_seq: int = 0
    catalogue_videos: int = 0
    purge_seq: int = 0
    """Last purge order applied: the acknowledgement."""
    cache_used_bytes: int = 0
    cache_hit_ratio: float = 0.0
    spooled_events: int = 0
    model: str = ""
    """Release that serves control's viewers."""
    arms: dict[str, ArmTally] = msgspec.field(default_factory=dict)
    """Watch quantiles by "experiment=arm" since the process started: the guard adds them up over all PoPs."""
    stopped_arms: dict[str, str] = msgspec.field(default_factory=dict)
    """What this PoP stopped by itself, and why."""
    viral: tuple[str, ...] = ()
    """Videos going viral here now."""


class PopDirective(Wire, frozen=True, kw_only=True):
    """Reply to a heartbeat: what the operator wants of the PoP."""

    state: Literal["active", "draining"] = "active"
    purge_head: int = 0
    rollout: Rollout = Rollout()
    stopped_arms: tuple[str, ...] = ()
    """Labels no PoP may serve any more."""
    viral: tuple[str, ...] = ()
    """Videos going viral at other PoPs: worth having in the cache."""


class PopView(Wire, frozen=True, kw_only=True):
    """GET /api/v1/pops: the registry as an operator sees it."""

    pop_id: str
    region: str
    base_url: str
    state: Literal["active", "draining", "lost"]
    last_seen_ms: int
    heartbeat: PopHeartbeat


class PurgeOrder(Wire, frozen=True, kw_only=True):
    """One entry of the ordered purge log. Exactly one of url, prefix, tag is set."""

    seq: int
    url: str | None = None
    prefix: str | None = None
    tag: str | None = None
    soft: bool = False
    """Soft: mark stale; otherwise remove."""
    issued_at_ms: int = 0


class PurgeLog(Wire, frozen=True, kw_only=True):
    """Reply of GET /internal/v1/purges?after=SEQ&waitMs=MS (long poll)."""

    orders: tuple[PurgeOrder, ...]
    head: int
    floor: int = 0
    """Orders up to this one are no longer kept: a PoP that stopped before it empties its cache."""


RootRelative = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^/"})]
SurrogateKey = Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "maxLength": 128})]


class PurgeRequest(Wire, frozen=True, kw_only=True):
    """Body of POST /api/v1/purges and of POST /internal/v1/purges. At least one of the lists names something."""

    urls: tuple[RootRelative, ...] = ()
    prefixes: tuple[RootRelative, ...] = ()
    tags: tuple[SurrogateKey, ...] = ()
    soft: bool = False


class Revocation(Wire, frozen=True, kw_only=True):
    """A session or a whole account whose access tokens no longer count."""

    seq: int
    user_id: str
    session_id: str | None = None
    """None: every token of the user issued before `atMs`."""
    at_ms: int


class Revocations(Wire, frozen=True, kw_only=True):
    """Reply of the origin's GET /internal/v1/revocations?after=SEQ&waitMs=MS (long poll)."""

    revocations: tuple[Revocation, ...] = msgspec.field(default_factory=tuple)
    head: int = 0


class PurgeReceipt(Wire, frozen=True, kw_only=True):
    """What became of purge orders: `confirmed` PoPs have applied all up to `seq`, `waiting` report and have not yet."""

    seq: int
    orders: int
    confirmed: tuple[str, ...]
    waiting: tuple[str, ...]
    lost: tuple[str, ...] = ()
    """Silent PoPs that had not: nothing waits for them; one that comes back applies the log first."""
