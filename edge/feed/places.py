"""Which places a page hands out: from the session's tail, a new list, what the last session showed, or videos already
seen."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edge.feed.exposure import ExposureCounts
from edge.feed.metrics import FeedMetrics
from edge.feed.ports import Catalogue, Relations, Viewer
from edge.feed.ranking import Ranking
from edge.feed.session import Session, cached_first
from edge.feed.settings import FeedSettings
from edge.feed.viewer_store import ViewerRecord
from foundation.errors import Unavailable
from inference.feed.columns import region_code, tag_hash
from inference.feed.recommender import Pick
from inference.feed.sources import Source, visible
from inference.feed.viewer import ViewerState

_log = logging.getLogger(__name__)
_AHEAD = 2
"""A list made in a crowd is this many lists long: it is to last until its viewer's turn comes again."""
_CACHE_LOOKS = 20
"""Places at the head of a list for which the cache is asked: what may be handed out next."""


class PlaceMaker:
    """Decides places; holds no viewer. Runs on the event loop, under the viewer's lock."""

    def __init__(
        self,
        settings: FeedSettings,
        *,
        ranking: Ranking,
        catalogue: Catalogue,
        exposures: ExposureCounts,
        is_cached: Callable[[Pick], bool],
        clock: Callable[[], float],
        region: str,
        metrics: FeedMetrics,
    ) -> None:
        self._settings = settings
        self._ranking = ranking
        self._catalogue = catalogue
        self._exposures = exposures
        self._is_cached = is_cached
        self._clock = clock
        self._region = region
        self._metrics = metrics
        self._making: dict[tuple[str, str, int], asyncio.Future[tuple[tuple[Pick, ...], bool]]] = {}

    async def extend(
        self,
        viewer: Viewer,
        record: ViewerRecord,
        relations: Relations,
        session: Session,
        need: int,
        *,
        crowded: bool,
    ) -> tuple[Session, tuple[Pick, ...], bool]:
        """Hand out `need` more places: from the tail, a new list, what the last session showed, or seen videos.

        `crowded`: too many pages are being made, so a tail that is long enough is used in the order that stands.
        """
        arm = self._ranking.arms.arm_of(viewer.id)
        state = self._state(viewer, record, relations, session)
        session, lesser = await self._fresh_tail(session, state, need, arm, viewer, crowded=crowded)
        taken, tail = self._take(session.tail, state, need)
        if len(taken) < need:
            state = self._state(viewer, record, relations, session.handed_out(taken, tail=()), again=True)
            more, lesser = await self._list(state, arm, viewer, count=self._settings.session_items)
            second, tail = self._take(more, state, need - len(taken))
            taken += second
        if not taken and not session.position:
            taken, lesser = await self._rerun(state, record, need), True
        self._count(taken)
        return session.handed_out(taken, tail=tail), taken, lesser

    async def _fresh_tail(
        self, session: Session, state: ViewerState, need: int, arm: str, viewer: Viewer, *, crowded: bool
    ) -> tuple[Session, bool]:
        enough = len(session.tail) >= need
        if enough and not session.stale:
            return session, False
        if enough and crowded:
            self._metrics.unranked.inc()
            return session, False  # still stale: it is ranked with the next page, or behind this one
        if enough and session.events_since < self._settings.rerank_events:
            try:
                ranked = await self._ranking.rerank(state, session.tail, arm=arm)
                self._metrics.lists_reordered.inc()
                return session.with_tail(self._cached_first(ranked.picks), retrieved=False), ranked.degraded
            except Unavailable:
                return session, True  # the old order is better than none
        picks, lesser = await self._generate(session, state, arm, viewer)
        return session.with_tail(self._cached_first(picks), retrieved=True), lesser

    async def ahead(self, viewer: Viewer, record: ViewerRecord, relations: Relations) -> tuple[Pick, ...] | None:
        """A new list for the viewer's session, before a page asks for it; None when ranking does not answer."""
        if record.session is None:
            return None
        state = self._state(viewer, record, relations, record.session)
        arm = self._ranking.arms.arm_of(viewer.id)
        picks, lesser = await self._generate(record.session, state, arm, viewer, lists=_AHEAD)
        return None if lesser else self._cached_first(picks)

    def _cached_first(self, picks: tuple[Pick, ...]) -> tuple[Pick, ...]:
        """Near ties go to what is in this PoP's cache: it starts faster. Nobody moves by more than one place."""
        return cached_first(picks, self._is_cached, head=_CACHE_LOOKS)

    async def _generate(
        self, session: Session, state: ViewerState, arm: str, viewer: Viewer, *, lists: int = 1
    ) -> tuple[tuple[Pick, ...], bool]:
        """A new list for a session; the one that is being made for it, if one is."""
        key = viewer.id, arm, session.lists
        making = self._making.get(key)
        if making is None:
            (self._metrics.lists_behind if lists > 1 else self._metrics.lists_anew).inc()
            making = asyncio.ensure_future(self._list(state, arm, viewer, count=lists * self._settings.session_items))
            self._making[key] = making
            making.add_done_callback(lambda _: self._making.pop(key, None))
        return await asyncio.shield(making)

    async def _list(self, state: ViewerState, arm: str, viewer: Viewer, *, count: int) -> tuple[tuple[Pick, ...], bool]:
        try:
            ranked = await self._ranking.recommend(state, count=count, arm=arm)
        except Unavailable as err:
            self._metrics.fallbacks.labels("ranking").inc()
            _log.debug("fallback: %s", err.detail)
            return self._ranking.popular(state, count=count), True
        if ranked.degraded:
            self._metrics.fallbacks.labels("ranker").inc()
            self._ranking.arms.stop(arm, "its ranker failed")
        shadow = self._ranking.arms.shadow_of(viewer.id)
        if shadow is not None:
            self._ranking.shadow(state, ranked.picks, arm=shadow)
        return ranked.picks, ranked.degraded

    def _take(self, tail: tuple[Pick, ...], state: ViewerState, need: int) -> tuple[tuple[Pick, ...], tuple[Pick, ...]]:
        """The first `need` picks that may still be shown, and the rest of the tail behind them."""
        taken: list[Pick] = []
        at = 0
        while at < len(tail) and len(taken) < need:
            looked = tail[at : at + need]
            for pick, showable in zip(looked, self._showable(looked, state), strict=True):
                at += 1
                if showable and self._catalogue.item(pick.video_id) is not None:
                    taken.append(pick)
                    if len(taken) == need:
                        break
        return tuple(taken), tail[at:]

    def _showable(self, picks: tuple[Pick, ...], state: ViewerState) -> list[bool]:
        """Which may still be shown: each may have been deleted, hidden or watched since it was ranked, and others may
        have used up the quota of a new one."""
        columns = self._catalogue.columns
        rows = columns.find([pick.video_id for pick in picks])
        trial = np.array([pick.source is Source.EXPLORE for pick in picks], bool)
        keep = (rows >= 0) & visible(state, columns.take(rows))
        keep &= ~trial | (columns.granted[rows] < self._settings.exploration_quota)
        flags: list[bool] = keep.tolist()
        return flags

    async def _rerun(self, state: ViewerState, record: ViewerRecord, need: int) -> tuple[Pick, ...]:
        self._metrics.fallbacks.labels("rerun").inc()
        unseen = replace(state, seen_ids=np.zeros(0, np.int64))
        try:
            return await self._ranking.rerun(unseen, count=need, oldest_first=record.seen.tolist())
        except Unavailable:
            return ()

    def _state(
        self, viewer: Viewer, record: ViewerRecord, relations: Relations, session: Session, *, again: bool = False
    ) -> ViewerState:
        """`again`: also what the last session showed but was not watched."""
        prefs = record.preferences
        avoided = (record.seen, session.served_ids) if again else (record.seen, session.served_ids, session.before)
        seen = np.concatenate(avoided)
        seen.sort()
        blocked = {*relations.blocked, *prefs.hidden_creators}
        if viewer.user_id and viewer.user_id.isdigit():
            blocked.add(int(viewer.user_id))  # nobody is recommended their own videos
        return ViewerState(
            taste=record.taste,
            seen_ids=seen,
            following=np.array(sorted(relations.following), np.int64),
            blocked=np.array(sorted(blocked), np.int64),
            hidden_tags=frozenset(map(tag_hash, prefs.hidden_tags)),
            interests=frozenset(map(tag_hash, prefs.interests)),
            region=region_code(viewer.region or self._region),
            shown_ids=(*session.before[-10:].tolist(), *session.served_ids[-10:].tolist())[-10:],
            hour=(self._clock() / 3600) % 24,
        )

    def _count(self, taken: tuple[Pick, ...]) -> None:
        for source, count in Counter(pick.source for pick in taken).items():
            self._metrics.items[source].inc(count)
        trials = [pick.video_id for pick in taken if pick.source is Source.EXPLORE]
        columns = self._catalogue.columns
        columns.granted[columns.rows(trials)] += 1
        self._exposures.granted(trials)
