"""Settings of the feed."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from foundation.settings import Settings
from inference.experiments import Experiment


class FeedSettings(Settings, frozen=True, kw_only=True):
    """How pages are made. The defaults suit one PoP with up to a million videos."""

    section: ClassVar[str] = "feed"

    space: Annotated[str, Meta(description="Vector space to recommend in; the catalogue's vectors must be of it.")] = (
        "content-1"
    )
    model: Annotated[
        str, Meta(description='Name of the model under model_dir; "" is the one shipped with popreel.')
    ] = ""
    session_items: Annotated[
        int, Meta(ge=20, le=500, description="Ranked videos in a list. More costs memory, saves lists.")
    ] = 100
    session_s: Annotated[float, Meta(ge=60, description="Seconds without a request that end a session.")] = 1800.0
    list_process_from: Annotated[
        int,
        Meta(
            ge=0,
            le=20_000,
            description="Videos from which lists are made in a process of their own; with fewer each takes under a "
            "millisecond of the PoP's.",
        ),
    ] = 20_000
    pages_ranked: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Pages being made, or lists waited for, at once up to which each page is ranked again after a "
            "report; any more continue in the order that stands, and a list is made behind them.",
        ),
    ] = 1
    rank_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            le=10,
            description="Seconds a list may take until a page is served from popular videos instead.",
        ),
    ] = 0.5
    rerank_events: Annotated[
        int,
        Meta(ge=1, le=50, description="Watch events after which candidates are retrieved anew, not only reordered."),
    ] = 4
    store_timeout_s: Annotated[
        float, Meta(gt=0, le=5, description="Seconds to wait for Valkey before going on from memory.")
    ] = 0.25
    memory_viewers: Annotated[
        int,
        Meta(
            ge=10,
            description="Viewers held in memory, 10 KB each and up to 50 KB in a long session; others are read from "
            "Valkey when they come.",
        ),
    ] = 5000
    explore_every: Annotated[
        int, Meta(ge=0, le=100, description="One place in this many goes to a new video; 0 turns it off.")
    ] = 10
    exploration_quota: Annotated[
        int, Meta(ge=0, le=100_000, description="Impressions each new video is granted at this PoP.")
    ] = 30
    pools_s: Annotated[
        float, Meta(gt=0, le=60, description="Most seconds between two makings of the popular and trending lists.")
    ] = 1.0
    experiment: Annotated[
        Experiment | None,
        Meta(description="Running experiment: name and arms (share, model, exploreEvery ...); a canary is an arm."),
    ] = None
    statistics_s: Annotated[
        float, Meta(ge=1, le=3600, description="Seconds between writes of what this PoP counted of its videos.")
    ] = 30.0
    prefetch_items: Annotated[int, Meta(ge=0, le=50, description="Items of a page whose start is ordered ahead.")] = 6
