"""Training data from what people really watched: the event log is played again through the serving code.

Features are not stored with impressions; they are made anew, event by event, by the same columns, taste and features
that a PoP used, so training can never see something that serving does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from foundation.errors import BadInput
from foundation.wire.catalogue import CatalogueItem
from foundation.wire.events import WatchEvent
from inference.feed.catalogue_row import new_video
from inference.feed.columns import FeedColumns
from inference.feed.model import FeedModel
from inference.feed.outcome import Outcome, judge
from inference.feed.pools import PoolPolicy, Pools, make_pools
from inference.feed.recommender import Pick, Policy, Recommender
from inference.feed.row_index import RowIndex
from inference.feed.sources import Source
from inference.feed.space_columns import SpaceColumns
from inference.feed.taste import Taste, Vector, updated
from inference.feed.viewer import ViewerState
from inference.feed.watch_quantile import WatchQuantiles
from inference.training.impressions import ImpressionLog
from inference.training.parquet import read_events

T = TypeVar("T")
_POOLS_EVERY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """Items by id, and events of those items in time order, each event id once."""

    items: dict[int, CatalogueItem]
    events: tuple[WatchEvent, ...]

    def share(self, start: float, end: float) -> tuple[WatchEvent, ...]:
        return self.events[int(start * len(self.events)) : int(end * len(self.events))]

    def durations_and_watches(self, end: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds of video and of watching, of the first part of the log."""
        events = self.share(0, end)
        duration = [self.items[int(event.report.video_id)].manifest.duration_ms / 1000 for event in events]
        return np.array(duration), np.array([event.report.watch_duration / 1000 for event in events])


def read_log(*, catalogue: Path, events: Path) -> EventLog:
    """The origin's catalogue snapshot as NDJSON (with or without its head) and watch events: one a line, or Parquet.

    Raises BadInput naming file and line, Unavailable for Parquet without DuckDB.
    """
    items = {int(item.id): item for item in _lines(catalogue, CatalogueItem)}
    seen: set[str] = set()
    kept: list[WatchEvent] = []
    for event in read_events(events) if events.suffix == ".parquet" else _lines(events, WatchEvent):
        if event.event_id not in seen and int(event.report.video_id) in items:
            seen.add(event.event_id)
            kept.append(event)
    kept.sort(key=lambda event: event.received_at_ms)
    return EventLog(items=items, events=tuple(kept))


def _lines(path: Path, kind: type[T]) -> Iterator[T]:
    decode = msgspec.json.Decoder(kind).decode
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip() or (number == 1 and b'"count"' in line[:200] and b'"seq"' in line[:200]):
                continue
            try:
                yield decode(line)
            except msgspec.DecodeError as err:
                raise BadInput(f"{path.name} line {number}: {err}") from err


class LogReplay:
    """The PoP's state, grown from the log. `play` logs an impression for each event before learning from it."""

    def __init__(self, log: EventLog, *, model: FeedModel, space: str) -> None:
        """`space`: of the catalogue's vectors. A model with a learned space sees them through it."""
        self.model = model
        self._catalogue = FeedColumns(space=space)
        self._columns = SpaceColumns(self._catalogue, model.space) if model.space is not None else self._catalogue
        self.recommender = Recommender(self._columns, RowIndex(self._columns), model=model, policy=Policy())
        self._content = space
        self._waiting = sorted(log.items.values(), key=lambda item: item.published_at_ms, reverse=True)
        self._space = self._columns.space
        self._pools: Pools | None = None
        self._states: dict[str, ViewerState] = {}
        self._groups: dict[str, int] = {}
        self._watched: dict[str, set[int]] = {}

    def play(self, events: Sequence[WatchEvent], into: ImpressionLog | None) -> None:
        """Events in time order, following those of earlier calls."""
        for event in events:
            now_s = event.received_at_ms / 1000
            self._publish(event.received_at_ms)
            row = self._columns.row_of.get(int(event.report.video_id))
            if row is None:
                continue
            outcome = judged(event, float(self._columns.duration_s[row]), self.model.quantiles)
            if into is not None:
                self._log(event, outcome, now_s, into)
            self._learn(event, row, outcome, now_s)

    def next_likes(self, events: Sequence[WatchEvent], *, limit: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Viewer and NDCG@10 (n,) of liked watches, evenly sampled down to about `limit`: the search vector alone
        against every video that was out and that this viewer had not watched."""
        found: list[tuple[int, float]] = []
        every = max(len(events) // limit, 1)
        for number, event in enumerate(events):
            self._publish(event.received_at_ms)
            row = self._columns.row_of.get(int(event.report.video_id))
            if row is not None and number % every == 0:
                outcome = judged(event, float(self._columns.duration_s[row]), self.model.quantiles)
                query = self.model.search_vector(self._state(event.viewer).taste)
                if outcome.liking >= 0.5 and query is not None and self._columns.has_vector[row]:
                    group = self._groups.setdefault(event.viewer, len(self._groups))
                    found.append((group, self._ndcg(query, row, event.viewer)))
            self.play([event], None)
        table = np.array(found, np.float64).reshape(-1, 2)
        return table[:, 0].astype(np.int64), table[:, 1]

    def _ndcg(self, query: Vector, row: int, viewer: str) -> float:
        columns = self._columns
        scores = columns.vector[: columns.count].astype(np.float32) @ query
        scores[~columns.alive[: columns.count]] = -np.inf
        scores[columns.rows(sorted(self._watched.get(viewer, ())))] = -np.inf
        better = int((scores > scores[row]).sum())
        return 1 / math.log2(better + 2) if better < 10 and np.isfinite(scores[row]) else 0.0

    def _publish(self, until_ms: int) -> None:
        while self._waiting and self._waiting[-1].published_at_ms <= until_ms:
            item = self._waiting.pop()
            zero = msgspec.structs.replace(item, counters=type(item.counters)())  # totals of today are the future
            self._catalogue.put(new_video(zero, space=self._content))

    def _log(self, event: WatchEvent, outcome: Outcome, now_s: float, into: ImpressionLog) -> None:
        if self._pools is None or now_s - self._pools.made_at_s >= _POOLS_EVERY_S:
            self._pools = make_pools(self._columns, now_s=now_s, policy=PoolPolicy())
        pick = Pick(video_id=int(event.report.video_id), source=Source.TASTE, score=0.0)
        x = self.recommender.inputs(self._pools, self._state(event.viewer), [pick], now_s=now_s)
        into.add(
            x[0],
            quantile=outcome.quantile,
            liked=outcome.liked,
            shared=outcome.shared,
            finished=outcome.finished,
            skipped=outcome.skipped,
            group=self._groups.setdefault(event.viewer, len(self._groups)),
        )

    def _learn(self, event: WatchEvent, row: int, outcome: Outcome, now_s: float) -> None:
        columns, state = self._columns, self._state(event.viewer)
        columns.record(row, outcome, now_s=now_s, watched_before=state.taste.events)
        taste = updated(
            state.taste,
            vector=columns.vector[row].astype(np.float32) if columns.has_vector[row] else None,
            outcome=outcome,
            video_id=int(columns.video_id[row]),
            creator_id=int(columns.creator_id[row]),
            now_s=now_s,
        )
        self._states[event.viewer] = replace(state, taste=taste)
        self._watched.setdefault(event.viewer, set()).add(int(columns.video_id[row]))

    def _state(self, viewer: str) -> ViewerState:
        return self._states.get(viewer) or ViewerState(taste=Taste(space=self._space))


def liked_pairs(log: EventLog, end: float, quantiles: WatchQuantiles) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n,) dense viewer and video id of every clearly liked watch in the first part of the log."""
    viewers: dict[str, int] = {}
    pairs = []
    for event in log.share(0, end):
        item = log.items[int(event.report.video_id)]
        if judged(event, item.manifest.duration_ms / 1000, quantiles).liking >= 0.5:
            pairs.append((viewers.setdefault(event.viewer, len(viewers)), int(item.id)))
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def judged(event: WatchEvent, duration_s: float, quantiles: WatchQuantiles) -> Outcome:
    """The outcome a PoP would have learned from."""
    report = event.report
    return judge(
        quantiles,
        duration_s=duration_s,
        watched_s=report.watch_duration / 1000,
        liked=report.liked,
        commented=report.commented,
        shared=report.shared,
        followed=report.followed_creator,
        not_interested=report.not_interested,
    )
