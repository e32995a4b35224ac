"""Watch events: from a player to its PoP, and in batches from the PoP to the origin."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from foundation.ids import ID_PATTERN
from foundation.wire import Wire

Source = Literal["fyp", "following", "search", "hashtag", "profile", "sound", "share"]
DeviceType = Literal["ios", "android", "web"]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=86_400_000)]


class WatchReport(Wire, frozen=True, kw_only=True):
    """Body of POST /api/v1/analytics/watch (one, or {"events": [...]} with up to 500).

    `eventId` makes a resend harmless; without one the PoP makes an id, and a resend counts again.
    """

    video_id: Annotated[str, msgspec.Meta(extra_json_schema={"pattern": ID_PATTERN})]
    watch_duration: Milliseconds
    total_duration: Milliseconds
    liked: bool = False
    commented: bool = False
    shared: bool = False
    followed_creator: bool = False
    not_interested: bool = False
    source: Source = "fyp"
    device_type: DeviceType = "web"
    event_id: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    session_id: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    impression: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    """Opaque token of the feed item (`impression`), which ties the event to source, score and experiment."""
    start_time_ms: Milliseconds | None = None
    """Tap or swipe to first frame."""
    rebuffers: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0


class WatchEvent(Wire, frozen=True, kw_only=True):
    """A report as spooled at the PoP and sent upstream: stamped, attributed, never changed again."""

    event_id: str
    viewer: str
    """"u:{user id}" when signed in, "d:{device id}" otherwise."""
    pop_id: str
    received_at_ms: int
    report: WatchReport


class EventBatch(Wire, frozen=True, kw_only=True):
    """Body of POST /internal/v1/events. At-least-once: the origin de-duplicates on `eventId`."""

    batch_id: str
    events: tuple[WatchEvent, ...]
    partly: bool = False
    """The sender reads `waiting`: store what can be stored now. Without it a batch is stored whole or refused."""


class EventReceipt(Wire, frozen=True, kw_only=True):
    accepted: int
    duplicates: int
    waiting: tuple[int, ...] = ()
    """Positions in the batch of events not stored: their shard is away or being moved. Send these again later."""
