"""Watch reports: durable first, then taste, counters, seen videos and a session to be ranked again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from edge.events.spool import EventSpool
from edge.feed.impression import Impression, read_token
from edge.feed.ports import Viewer
from edge.feed.viewer_store import Preferences, ViewerRecord
from foundation.errors import BadInput
from foundation.ids import parse_id
from foundation.wire.events import WatchEvent, WatchReport
from inference.feed.columns import FeedColumns
from inference.feed.outcome import Outcome, judge
from inference.feed.taste import Taste, Vector, updated
from inference.feed.watch_quantile import WatchQuantiles

MAX_REPORTS = 500
_MAX_LIKED = 500
_NUDGES = {
    "more": Outcome(quantile=1.0, liking=2.0, dislike=0.0, finished=False, skipped=False),
    "less": Outcome(quantile=0.1, liking=0.0, dislike=1.0, finished=False, skipped=True),
    "not_interested": Outcome(quantile=0.0, liking=0.0, dislike=2.0, finished=False, skipped=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    record: ViewerRecord
    watched: list[int]
    """Videos that count as seen now."""
    judged: list[tuple[Impression | None, float]]
    """Per event: the place it came of (None: unknown) and its watch quantile."""
    outcomes: list[tuple[int, Outcome]]
    """Per event: its video and how the watch ended."""


class Watching:
    """Stateless but for the columns' counters. Runs on the event loop: about 60 us a report."""

    def __init__(
        self,
        *,
        spool: EventSpool,
        columns: FeedColumns,
        quantiles: Callable[[], WatchQuantiles],
        vector: Callable[[str, int], Vector | None],
        pop_id: str,
        clock: Callable[[], float],
    ) -> None:
        """`quantiles` of the model that serves now; `vector` of a row in a named space."""
        self._vector = vector
        self.spool = spool
        """Where reports are made durable."""
        self._columns = columns
        self._quantiles = quantiles
        self._pop_id = pop_id
        self._clock = clock

    def stamped(self, viewer: Viewer, reports: Sequence[WatchReport]) -> list[WatchEvent]:
        """The reports as events. Raises BadInput (too many, bad video id)."""
        if not 1 <= len(reports) <= MAX_REPORTS:
            raise BadInput(f"send 1 to {MAX_REPORTS} events at once, not {len(reports)}")
        now_ms = int(self._clock() * 1000)
        return [self._stamped(viewer, report, now_ms) for report in reports]

    def _stamped(self, viewer: Viewer, report: WatchReport, now_ms: int) -> WatchEvent:
        parse_id(report.video_id)
        return WatchEvent(
            event_id=report.event_id or uuid.uuid4().hex,
            viewer=viewer.id,
            pop_id=self._pop_id,
            received_at_ms=now_ms,
            report=report,
        )

    def learn(self, record: ViewerRecord, events: Sequence[WatchEvent]) -> Learned:
        """What the events change of the viewer; `count` them once it is sure that they are stored, and new."""
        taste, prefs = record.taste, record.preferences
        judged: list[tuple[Impression | None, float]] = []
        outcomes: list[tuple[int, Outcome]] = []
        for event in events:
            video_id = int(event.report.video_id)
            outcome = self._judge(event.report, video_id)
            taste = self._taught(taste, video_id, outcome, now_s=self._clock())
            judged.append((read_token(event.report.impression), outcome.quantile))
            outcomes.append((video_id, outcome))
            prefs = _remember_like(prefs, video_id, outcome)
        session = record.session.disturbed(len(events)) if record.session and events else record.session
        after = replace(record, taste=taste, preferences=prefs, session=session)
        watched = [video_id for video_id, _ in outcomes]
        return Learned(record=after, watched=watched, judged=judged, outcomes=outcomes)

    def count(self, learned: Learned) -> None:
        """Add the watches to their videos' counters at this PoP."""
        before = learned.record.taste.events - len(learned.outcomes)
        for number, (video_id, outcome) in enumerate(learned.outcomes):
            row = self._columns.row_of.get(video_id)
            if row is not None:
                self._columns.record(row, outcome, now_s=self._clock(), watched_before=before + number)

    def recalled(self, record: ViewerRecord, events: Sequence[WatchEvent]) -> Learned:
        """What a viewer did elsewhere: taste and seen videos, without counting anything here again."""
        taste, watched = record.taste, list[int]()
        for event in events:
            video_id = int(event.report.video_id)
            outcome = self._judge(event.report, video_id)
            taste = self._taught(taste, video_id, outcome, now_s=event.received_at_ms / 1000)
            watched.append(video_id)
        return Learned(record=replace(record, taste=taste), watched=watched, judged=[], outcomes=[])

    def nudged(
        self, record: ViewerRecord, video_id: int, action: Literal["more", "less", "not_interested"]
    ) -> ViewerRecord:
        """The record after a control was used on a video; unchanged when the video is not here."""
        row = self._columns.row_of.get(video_id)
        if row is None:
            return record
        outcome = _NUDGES[action]
        taste = updated(
            record.taste,
            vector=self._vector(record.taste.space, row),
            outcome=outcome,
            video_id=video_id,
            creator_id=int(self._columns.creator_id[row]),
            now_s=self._clock(),
        )
        session = record.session.disturbed(MAX_REPORTS) if record.session else None
        return replace(record, taste=taste, session=session)

    def _judge(self, report: WatchReport, video_id: int) -> Outcome:
        """The catalogue's length where it is known: a client cannot make a skip look like a full watch."""
        row = self._columns.row_of.get(video_id)
        duration_s = float(self._columns.duration_s[row]) if row is not None else report.total_duration / 1000
        return judge(
            self._quantiles(),
            duration_s=duration_s,
            watched_s=report.watch_duration / 1000,
            liked=report.liked,
            commented=report.commented,
            shared=report.shared,
            followed=report.followed_creator,
            not_interested=report.not_interested,
        )

    def _taught(self, taste: Taste, video_id: int, outcome: Outcome, *, now_s: float) -> Taste:
        row = self._columns.row_of.get(video_id)
        if row is None:  # deleted, or of another PoP: nothing to learn from but that something was watched
            return replace(taste, events=taste.events + 1, updated_s=max(now_s, taste.updated_s))
        vector = self._vector(taste.space, row)
        creator_id = int(self._columns.creator_id[row])
        return updated(taste, vector=vector, outcome=outcome, video_id=video_id, creator_id=creator_id, now_s=now_s)


def _remember_like(prefs: Preferences, video_id: int, outcome: Outcome) -> Preferences:
    if not outcome.liked or video_id in prefs.liked:
        return prefs
    return replace(prefs, liked=(*prefs.liked, video_id)[-_MAX_LIKED:])
