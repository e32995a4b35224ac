"""The feed of one PoP: pages, the following feed, watch reports and controls, for many viewers at once."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal
from weakref import WeakValueDictionary

import msgspec
import numpy as np
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from edge.events.spool import EventSpool
from edge.feed.exposure import ExposureCounts, ExposureReceipt
from edge.feed.following import following_page
from edge.feed.hydrate import WIRE_SOURCE, feed_item, start_order
from edge.feed.impression import make_token
from edge.feed.metrics import FeedMetrics
from edge.feed.ports import NO_RELATIONS, Catalogue, DeliveryPort, Relations, UserContext, Viewer
from edge.feed.ranking import Ranking
from edge.feed.session import Session, cached_first, make_cursor, read_cursor
from edge.feed.settings import FeedSettings
from edge.feed.statistics_store import StatisticsStore
from edge.feed.viewer_store import Preferences, ViewerRecord, ViewerStore
from edge.feed.virality import ViralWatch, warm_orders
from edge.feed.watching import Watching
from foundation.errors import Unavailable
from foundation.wire.catalogue import CatalogueItem, Counters
from foundation.wire.events import WatchReport
from foundation.wire.feed import FeedItem, FeedPage
from inference.feed.columns import FeedColumns, region_code, tag_hash
from inference.feed.exploration import ExplorationPolicy
from inference.feed.model import FIRST_MODEL, FeedModel, load
from inference.feed.pools import PoolPolicy, Pools
from inference.feed.recommender import Pick, Policy
from inference.feed.sources import Source
from inference.feed.taste import Taste, rebuilt
from inference.feed.viewer import ViewerState

_log = logging.getLogger(__name__)
_CACHE_LOOKS = 20
"""Places at the head of a list for which the cache is asked: what may be handed out next."""


class Feed:
    """Made by `open`; close it. All methods run on the event loop."""

    def __init__(
        self,
        settings: FeedSettings,
        *,
        store: ViewerStore,
        ranking: Ranking,
        watching: Watching,
        catalogue: Catalogue,
        delivery_port: DeliveryPort,
        user_context: UserContext,
        clock: Callable[[], float],
        region: str,
        metrics: FeedMetrics,
        exposures: ExposureCounts,
        statistics: StatisticsStore,
    ) -> None:
        self._settings = settings
        self._exposures = exposures
        self._statistics = statistics
        self._viral = ViralWatch()
        self._statistics_due_s = clock() + settings.statistics_s
        self._store = store
        self.ranking = ranking
        self._watching = watching
        self._catalogue = catalogue
        self._delivery = delivery_port
        self._users = user_context
        self._clock = clock
        self._region = region
        self._metrics = metrics
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @classmethod
    async def open(
        cls,
        settings: FeedSettings,
        *,
        valkey: Redis,
        catalogue: Catalogue,
        delivery_port: DeliveryPort,
        clock: Callable[[], float],
        rng: np.random.Generator,
        user_context: UserContext,
        region: str,
        pop_id: str,
        model_dir: Path | None = None,
        registry: CollectorRegistry | None = None,
    ) -> Feed:
        """Load the model and start the upkeep task. Raises ModelMissing, ModelDamaged."""
        metrics = FeedMetrics(registry or CollectorRegistry())
        model = await asyncio.to_thread(_load_model, settings, model_dir)
        store = ViewerStore(
            valkey,
            space=settings.space,
            clock=clock,
            timeout_s=settings.store_timeout_s,
            session_s=settings.session_s,
            memory_viewers=settings.memory_viewers,
            rebuild=lambda taste: _rebuilt(taste, catalogue.columns, settings.space),
        )
        ranking = Ranking(
            catalogue.columns,
            model=model,
            policy=Policy(exploration=ExplorationPolicy(every=settings.explore_every)),
            pool_policy=PoolPolicy(exploration_quota=settings.exploration_quota),
            clock=clock,
            rng=rng,
            threads=settings.rank_threads,
            timeout_s=settings.rank_timeout_s,
            pools_s=settings.pools_s,
            metrics=metrics,
            experiment=settings.experiment,
            model_dir=model_dir,
        )
        watching = Watching(
            spool=EventSpool(valkey), columns=catalogue.columns, quantiles=model.quantiles, pop_id=pop_id, clock=clock
        )
        feed = cls(
            settings,
            store=store,
            ranking=ranking,
            watching=watching,
            catalogue=catalogue,
            delivery_port=delivery_port,
            user_context=user_context,
            clock=clock,
            region=region,
            metrics=metrics,
            exposures=ExposureCounts(valkey, quota=settings.exploration_quota),
            statistics=StatisticsStore(valkey),
        )
        await feed._statistics.restore(catalogue.columns)
        ranking.open(after_upkeep=feed._upkeep)
        return feed

    async def close(self) -> None:
        await self.ranking.close()
        await self._statistics.save(self._catalogue.columns)

    async def page(self, viewer: Viewer, *, count: int, cursor: str | None) -> FeedPage:
        """`count` items from the cursor on; fewer only when the catalogue has no more for this viewer.

        Raises BadCursor. Everything else degrades (`is_fallback`).
        """
        started = time.perf_counter()
        asked = read_cursor(cursor) if cursor else None
        relations = await self._relations(viewer)
        async with self._lock(viewer.id):
            record = await self._store.load(viewer.id)
            session, position = _continued(record.session, asked)
            picks = session.replayed(position, count)
            fallback = record.from_memory
            if len(picks) < count:
                session, fresh, lesser = await self._extend(viewer, record, relations, session, count - len(picks))
                picks += fresh
                fallback = fallback or lesser
            await self._store.save(viewer.id, replace(record, session=session), watched=[], taste=False, prefs=False)
        items = self._hydrate(picks, position, record.preferences, viewer)
        self._order_starts(picks)
        self._metrics.page_s.labels("fallback" if fallback else "full").observe(time.perf_counter() - started)
        next_cursor = make_cursor(session.id, max(position, len(session.older)) + len(picks))
        return FeedPage(videos=items, next_cursor=next_cursor, is_fallback=fallback)

    async def following_page(self, viewer: Viewer, *, count: int, cursor: str | None) -> FeedPage:
        """Videos of followed creators, newest first. Raises BadCursor."""
        relations = await self._relations(viewer)
        record = await self._store.load(viewer.id)
        columns = self._catalogue.columns
        picks, next_cursor = following_page(columns, relations, record.preferences, count=count, cursor=cursor)
        return FeedPage(videos=self._hydrate(picks, 0, record.preferences, viewer), next_cursor=next_cursor)

    async def record(self, viewer: Viewer, reports: Sequence[WatchReport]) -> list[str]:
        """Store the reports durably, then learn from them. Their event ids. Raises Unavailable (not stored)."""
        events = await self._watching.store(viewer, reports)
        event_ids = [event.event_id for event in events]
        async with self._lock(viewer.id):
            fresh = await self._store.first_time(event_ids)
            counted = [event for event, first in zip(events, fresh, strict=True) if first]
            self._metrics.events.labels("counted").inc(len(counted))
            self._metrics.events.labels("repeated").inc(len(events) - len(counted))
            if counted:
                record = await self._store.load(viewer.id)
                learned = self._watching.learn(record, counted)
                await self._store.save(
                    viewer.id,
                    learned.record,
                    watched=learned.watched,
                    taste=True,
                    prefs=learned.record.preferences != record.preferences,
                )
                await self._exposures.watched(learned.judged)
                for impression, quantile in learned.judged:
                    self.ranking.arms.observe(impression, quantile)
        return event_ids

    async def receipt(self, video_id: int) -> ExposureReceipt:
        """What a new video was granted at this PoP. Raises Unavailable."""
        return await self._exposures.receipt(video_id)

    async def interests(self, viewer: Viewer, interests: Sequence[str]) -> None:
        """Onboarding: replace the chosen topics (hashtags)."""
        cleaned = tuple(dict.fromkeys(tag.strip().lstrip("#").casefold() for tag in interests if tag.strip()))[:50]
        await self._change(viewer, lambda prefs: _with(prefs, interests=cleaned))

    async def hide_creator(self, viewer: Viewer, creator_id: int) -> None:
        await self._change(
            viewer, lambda prefs: _with(prefs, hidden_creators=(*prefs.hidden_creators, creator_id)[-1000:])
        )

    async def hide_tag(self, viewer: Viewer, tag: str) -> None:
        folded = tag.lstrip("#").casefold()
        await self._change(viewer, lambda prefs: _with(prefs, hidden_tags=(*prefs.hidden_tags, folded)[-200:]))

    async def nudge(self, viewer: Viewer, video_id: int, action: Literal["more", "less", "not_interested"]) -> None:
        """More or less like this video, without a watch: taste and the tail change, counters and the origin do not."""
        async with self._lock(viewer.id):
            record = await self._store.load(viewer.id)
            after = self._watching.nudged(record, video_id, action)
            seen = [video_id] if action == "not_interested" else []
            await self._store.save(viewer.id, after, watched=seen, taste=True, prefs=False)

    async def acted(self, viewer: Viewer, video_id: int, action: str, *, undone: bool) -> None:
        """A "like", "share" or "bookmark" went through to the origin: taste, tail and the heart on the item follow."""
        async with self._lock(viewer.id):
            record = await self._store.load(viewer.id)
            after = record if undone else self._watching.nudged(record, video_id, "more")
            if action == "like":
                liked = tuple(kept for kept in record.preferences.liked if kept != video_id)
                liked = liked if undone else (*liked, video_id)[-500:]
                after = replace(after, preferences=_with(after.preferences, liked=liked))
            await self._store.save(viewer.id, after, watched=[], taste=not undone, prefs=action == "like")

    async def reset(self, viewer: Viewer) -> None:
        """Forget taste, interests and session; watched videos stay watched, hidden ones hidden."""
        async with self._lock(viewer.id):
            record = await self._store.load(viewer.id)
            session = record.session.followed_by(secrets.token_hex(4)) if record.session else None
            after = replace(
                record,
                taste=Taste(space=self._settings.space),
                session=session,
                preferences=_with(record.preferences, interests=()),
            )
            await self._store.save(viewer.id, after, watched=[], taste=True, prefs=True)

    async def _change(self, viewer: Viewer, change: Callable[[Preferences], Preferences]) -> None:
        async with self._lock(viewer.id):
            record = await self._store.load(viewer.id)
            session = record.session.disturbed(self._settings.rerank_events) if record.session else None
            after = replace(record, preferences=change(record.preferences), session=session)
            await self._store.save(viewer.id, after, watched=[], taste=False, prefs=True)

    async def _upkeep(self, pools: Pools) -> None:
        """After the shared lists were made: viral alarms warm the cache; now and then statistics are written."""
        alarms = self._viral.look(self._catalogue.columns, pools, now_s=self._clock())
        if alarms:
            self._metrics.viral.inc(len(alarms))
            self._delivery.prefetch(warm_orders(self._catalogue, alarms, region=self._region))
        if self._clock() >= self._statistics_due_s:
            self._statistics_due_s = self._clock() + self._settings.statistics_s
            await self._statistics.save(self._catalogue.columns)

    def _lock(self, viewer_id: str) -> asyncio.Lock:
        """One generation at a time per viewer; the lock lives as long as somebody holds or awaits it."""
        lock = self._locks.get(viewer_id)
        if lock is None:
            lock = self._locks[viewer_id] = asyncio.Lock()
        return lock

    async def _relations(self, viewer: Viewer) -> Relations:
        return await self._users.relations(viewer.user_id) if viewer.user_id else NO_RELATIONS

    async def _extend(
        self, viewer: Viewer, record: ViewerRecord, relations: Relations, session: Session, need: int
    ) -> tuple[Session, tuple[Pick, ...], bool]:
        """Hand out `need` more places: from the tail, a new list, what the last session showed, or seen videos."""
        arm = self.ranking.arms.arm_of(viewer.id)
        state = self._state(viewer, record, relations, session)
        session, lesser = await self._fresh_tail(session, state, need, arm)
        taken, tail = self._take(session.tail, state, need)
        if len(taken) < need:
            state = self._state(viewer, record, relations, session.handed_out(taken, tail=()), again=True)
            more, lesser = await self._generate(state, arm)
            second, tail = self._take(more, state, need - len(taken))
            taken += second
        if not taken and not session.position:
            taken, lesser = self._rerun(state, record, need), True
        for pick in taken:
            self._count_exposure(pick)
        await self._exposures.granted([pick.video_id for pick in taken if pick.source is Source.EXPLORE])
        return session.handed_out(taken, tail=tail), taken, lesser

    async def _fresh_tail(self, session: Session, state: ViewerState, need: int, arm: str) -> tuple[Session, bool]:
        enough = len(session.tail) >= need
        if enough and not session.stale:
            return session, False
        if enough and session.events_since < self._settings.rerank_events:
            try:
                ranked = await self.ranking.rerank(state, session.tail, arm=arm)
                return session.with_tail(self._cached_first(ranked.picks), retrieved=False), ranked.degraded
            except Unavailable:
                return session, True  # the old order is better than none
        picks, lesser = await self._generate(state, arm)
        return session.with_tail(self._cached_first(picks), retrieved=True), lesser

    def _cached_first(self, picks: tuple[Pick, ...]) -> tuple[Pick, ...]:
        """Near ties go to what is in this PoP's cache: it starts faster. Nobody moves by more than one place."""
        return cached_first(picks, self._is_cached, head=_CACHE_LOOKS)

    def _is_cached(self, pick: Pick) -> bool:
        item = self._catalogue.item(pick.video_id)
        if item is None:
            return False
        start = start_order(item, region=self._region, priority=0)
        return self._delivery.is_cached(start.path, start.last_byte + 1)

    async def _generate(self, state: ViewerState, arm: str) -> tuple[tuple[Pick, ...], bool]:
        try:
            ranked = await self.ranking.recommend(state, count=self._settings.session_items, arm=arm)
        except Unavailable as err:
            self._metrics.fallbacks.labels("ranking").inc()
            _log.debug("fallback: %s", err.detail)
            return self.ranking.popular(state, count=self._settings.session_items), True
        if ranked.degraded:
            self._metrics.fallbacks.labels("ranker").inc()
        return ranked.picks, ranked.degraded

    def _take(self, tail: tuple[Pick, ...], state: ViewerState, need: int) -> tuple[tuple[Pick, ...], tuple[Pick, ...]]:
        """The first `need` picks that may still be shown, and the rest of the tail behind them."""
        taken: list[Pick] = []
        at = 0
        while at < len(tail) and len(taken) < need:
            if self._showable(tail[at], state):
                taken.append(tail[at])
            at += 1
        return tuple(taken), tail[at:]

    def _showable(self, pick: Pick, state: ViewerState) -> bool:
        """A pick may have been deleted, hidden or watched since it was ranked."""
        columns = self._catalogue.columns
        row = columns.row_of.get(pick.video_id)
        if row is None or self._catalogue.item(pick.video_id) is None:
            return False
        if pick.source is Source.EXPLORE and columns.granted[row] >= self._settings.exploration_quota:
            return False  # others used the quota up while this waited in the tail
        creator = int(columns.creator_id[row])
        if not (columns.public[row] or creator in state.following) or creator in state.blocked:
            return False
        if state.hidden_tags and not state.hidden_tags.isdisjoint(columns.hashtags[row].tolist()):
            return False
        at = int(np.searchsorted(state.seen_ids, pick.video_id))
        return at >= len(state.seen_ids) or int(state.seen_ids[at]) != pick.video_id

    def _rerun(self, state: ViewerState, record: ViewerRecord, need: int) -> tuple[Pick, ...]:
        self._metrics.fallbacks.labels("rerun").inc()
        unseen = replace(state, seen_ids=np.zeros(0, np.int64))
        return self.ranking.rerun(unseen, frozenset(), count=need, oldest_first=record.seen.tolist())

    def _state(
        self, viewer: Viewer, record: ViewerRecord, relations: Relations, session: Session, *, again: bool = False
    ) -> ViewerState:
        """`again`: also what the last session showed but was not watched."""
        prefs = record.preferences
        served = session.served_ids()
        before = np.array(() if again else session.before, np.int64)
        seen = np.unique(np.concatenate([record.seen, served, before]))
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
            shown_ids=(*session.before[-10:], *served[-10:].tolist())[-10:],
            hour=(self._clock() / 3600) % 24,
        )

    def _count_exposure(self, pick: Pick) -> None:
        self._metrics.items.labels(WIRE_SOURCE[pick.source]).inc()
        row = self._catalogue.columns.row_of.get(pick.video_id)
        if pick.source is Source.EXPLORE and row is not None:
            self._catalogue.columns.granted[row] += 1

    def _hydrate(
        self, picks: Sequence[Pick], position: int, prefs: Preferences, viewer: Viewer
    ) -> tuple[FeedItem, ...]:
        liked, now_ms = frozenset(prefs.liked), int(self._clock() * 1000)
        arm = self.ranking.arms.arm_of(viewer.id)
        model, label = self.ranking.arms.recommender(arm).model.name, self.ranking.arms.label(arm)
        items: list[FeedItem] = []
        for place, pick in enumerate(picks, start=position):
            item = self._catalogue.item(pick.video_id)
            if item is None:  # deleted since it was handed out; a replayed page is then shorter
                continue
            token = make_token(
                pick, place=place, model=model, arm=label, served_ms=now_ms, cached=self._is_cached(pick)
            )
            items.append(
                feed_item(
                    item,
                    region=self._region,
                    source=pick.source,
                    impression=token,
                    liked=pick.video_id in liked,
                    counters=self._counters(pick.video_id, item),
                )
            )
        return tuple(items)

    def _counters(self, video_id: int, item: CatalogueItem) -> Counters:
        change = self._catalogue.counters(video_id)
        return change.counters if change is not None and change.counters is not None else item.counters

    def _order_starts(self, picks: Sequence[Pick]) -> None:
        items = [self._catalogue.item(pick.video_id) for pick in picks[: self._settings.prefetch_items]]
        orders = [
            start_order(item, region=self._region, priority=place)
            for place, item in enumerate(items)
            if item is not None
        ]
        if orders:
            self._delivery.prefetch(orders)


def _rebuilt(taste: Taste, columns: FeedColumns, space: str) -> Taste:
    """A taste from another vector space, from the videos it last liked that are still here."""
    rows = np.array([columns.row_of.get(int(video_id), -1) for video_id in taste.recent_ids], np.int64)
    known = (rows >= 0) & columns.has_vector[rows]
    vectors = columns.vector[np.maximum(rows, 0)].astype(np.float32)
    return rebuilt(taste, space=space, vectors=vectors, known=known)


def _continued(session: Session | None, asked: tuple[str, int] | None) -> tuple[Session, int]:
    """The session a cursor continues and the place in it; a new session without a cursor or after one has ended."""
    if session is not None and asked is not None and asked[0] == session.id:
        return session, min(asked[1], session.position)
    new_id = secrets.token_hex(4)
    return (session.followed_by(new_id) if session is not None else Session(id=new_id)), 0


def _with(prefs: Preferences, **changes: tuple[object, ...]) -> Preferences:
    return msgspec.structs.replace(prefs, **changes)


def _load_model(settings: FeedSettings, model_dir: Path | None) -> FeedModel:
    if settings.model and model_dir is not None:
        return load(model_dir / settings.model)
    if (FIRST_MODEL / "model.json").is_file():
        return load(FIRST_MODEL)
    return FeedModel(name="none")
