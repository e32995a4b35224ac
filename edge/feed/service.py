"""The feed of one PoP: pages, the following feed, watch reports and controls, for many viewers at once."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal
from weakref import WeakValueDictionary

import msgspec
import numpy as np
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from edge.events.spool import EventSpool
from edge.feed.ahead import RankAhead
from edge.feed.arms import Arms, load_arms
from edge.feed.exposure import ExposureCounts, ExposureReceipt
from edge.feed.following import following_page
from edge.feed.history import NoHistory, ViewerHistory
from edge.feed.lists.maker import CommonLists, MakerPolicy
from edge.feed.metrics import FeedMetrics
from edge.feed.model_switch import ModelSwitch
from edge.feed.places import PlaceMaker
from edge.feed.ports import NO_RELATIONS, Catalogue, DeliveryPort, Relations, UserContext, Viewer
from edge.feed.ranking import Ranking
from edge.feed.rendering import PageRenderer
from edge.feed.session import Session, make_cursor, read_cursor
from edge.feed.settings import FeedSettings
from edge.feed.statistics_store import StatisticsStore
from edge.feed.taste_spaces import TasteSpaces
from edge.feed.viewer_store import Preferences, ViewerRecord, ViewerStore, counted_before, with_counted
from edge.feed.virality import ViralWatch, warm_orders
from edge.feed.watching import Learned, Watching
from foundation.errors import NotFound, Unavailable
from foundation.stores.round_trips import RoundTrips
from foundation.wire.events import WatchReport
from foundation.wire.feed import FeedPage
from inference.feed.exploration import ExplorationPolicy
from inference.feed.pools import PoolPolicy
from inference.feed.recommender import Policy
from inference.feed.taste import Taste

_log = logging.getLogger(__name__)
_AHEAD_AT_ONCE, _MOST_AHEAD = 4, 64
"""Lists made behind pages at once (the list process is never idle between two), and viewers who wait for one."""
_AHEAD_PAGES = 2
"""Where lists are made on the event loop: a stale tail that lasts for no more pages is ranked before the next asks."""

_GIVEN_TURNS = 3
"""Eight viewers who never pause, pages p50 3.9 ms without, 2.3 with two or more; reports take as long as before."""


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
        history: ViewerHistory,
        models: ModelSwitch,
        trips: RoundTrips,
    ) -> None:
        self.models = models
        self._trips = trips
        self._history = history
        self._settings = settings
        self._exposures = exposures
        self._statistics = statistics
        self._viral = ViralWatch()
        self._renderer = PageRenderer(
            catalogue=catalogue,
            delivery=delivery_port,
            arms=ranking.arms,
            clock=clock,
            region=region,
            prefetch_items=settings.prefetch_items,
        )
        self._places = PlaceMaker(
            settings,
            ranking=ranking,
            catalogue=catalogue,
            exposures=exposures,
            is_cached=self._renderer.is_cached,
            clock=clock,
            region=region,
            metrics=metrics,
        )
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
        self._in_progress = _InProgress()
        self._ahead = RankAhead(self._rank_ahead, at_once=_AHEAD_AT_ONCE, most_waiting=_MOST_AHEAD)

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
        history: ViewerHistory | None = None,
        index_dir: Path | None = None,
    ) -> Feed:
        """Load the model and start the upkeep task. `index_dir` keeps built indexes for the next start.

        Raises ModelMissing, ModelDamaged.
        """
        metrics = FeedMetrics(registry or CollectorRegistry())
        content = catalogue.columns.space
        table = await asyncio.to_thread(
            load_arms, settings.model, settings.experiment, model_dir=model_dir, content=content, generation=1
        )
        arms = Arms(table, content=content)
        spaces = TasteSpaces(catalogue.columns, arms)
        trips = RoundTrips(valkey)
        store = ViewerStore(
            trips,
            space_of=arms.space_of,
            clock=clock,
            timeout_s=settings.store_timeout_s,
            session_s=settings.session_s,
            memory_viewers=settings.memory_viewers,
            taste_in=spaces.taste_in,
        )
        ranking = Ranking(
            catalogue.columns,
            settings,
            arms=arms,
            spaces=spaces,
            policy=MakerPolicy(
                pools=PoolPolicy(exploration_quota=settings.exploration_quota),
                lists=Policy(exploration=ExplorationPolicy(every=settings.explore_every)),
                seed=int(rng.integers(2**63)),
                snapshots=index_dir,
            ),
            model_dir=model_dir,
            clock=clock,
            metrics=metrics,
        )
        watching = Watching(
            spool=EventSpool(valkey, trips=trips),
            columns=catalogue.columns,
            quantiles=lambda: arms.control.quantiles,
            vector=spaces.vector,
            pop_id=pop_id,
            clock=clock,
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
            exposures=ExposureCounts(valkey, quota=settings.exploration_quota, trips=trips),
            trips=trips,
            statistics=StatisticsStore(valkey),
            history=history or NoHistory(),
            models=ModelSwitch(ranking, content=content, model_dir=model_dir),
        )
        await feed._statistics.restore(catalogue.columns)
        await ranking.open(after_upkeep=feed._upkeep)
        return feed

    async def close(self) -> None:
        await self._ahead.close()
        await self.ranking.close()
        await self._statistics.save(self._catalogue.columns)
        await self._trips.close()

    async def page(self, viewer: Viewer, *, count: int, cursor: str | None) -> FeedPage:
        """`count` items from the cursor on; fewer only when the catalogue has no more for this viewer.

        Raises BadCursor. Everything else degrades (`is_fallback`).
        """
        started = time.perf_counter()
        asked = read_cursor(cursor) if cursor else None
        relations = await self._relations(viewer)
        async with self._lock(viewer.id):
            record = await self._store.load(viewer.id)
            unknown = record.session is None and not record.taste.events and not record.from_memory
            if unknown and not viewer.just_named:
                record = await self._recalled(viewer, record)
            session, position = _continued(record.session, asked)
            picks = session.replayed(position, count)
            fallback = record.from_memory
            with self._in_progress as pages:
                if len(picks) < count:
                    crowded = self._ahead.busy or self.ranking.crowded(pages)
                    session, fresh, lesser = await self._places.extend(
                        viewer, record, relations, session, count - len(picks), crowded=crowded
                    )
                    picks += fresh
                    fallback = fallback or lesser
                    if session.stale and (self.ranking.apart or len(session.tail) <= _AHEAD_PAGES * count):
                        self._ahead.ask(viewer)
                saved = await self._store.save(viewer.id, replace(record, session=session))
            fallback = fallback or not saved
        items = self._renderer.items(picks, position, record.preferences, viewer)
        self._renderer.order_starts(picks)
        took = self._metrics.fallback_page_s if fallback else self._metrics.full_page_s
        took.observe(time.perf_counter() - started)
        next_cursor = make_cursor(session.id, max(position, session.oldest_place) + len(picks))
        return FeedPage(videos=items, next_cursor=next_cursor, is_fallback=fallback)

    async def _rank_ahead(self, viewer: Viewer) -> None:
        """Without the viewer's lock, so that neither a page nor a report waits; the next page writes it to Valkey."""
        before = await self._store.load(viewer.id)
        tail = await self._places.ahead(viewer, before, await self._relations(viewer))
        if tail is None or before.session is None:
            return
        async with self._lock(viewer.id):
            now = await self._store.load(viewer.id)
            if now.session is not None and now.session.continues(before.session):
                self._store.hold(viewer.id, replace(now, session=now.session.with_tail_of(before.session, tail)))

    async def following_page(self, viewer: Viewer, *, count: int, cursor: str | None) -> FeedPage:
        """Videos of followed creators, newest first. Raises BadCursor."""
        relations = await self._relations(viewer)
        record = await self._store.load(viewer.id)
        columns = self._catalogue.columns
        picks, next_cursor = following_page(columns, relations, record.preferences, count=count, cursor=cursor)
        return FeedPage(videos=self._renderer.items(picks, 0, record.preferences, viewer), next_cursor=next_cursor)

    async def record(self, viewer: Viewer, reports: Sequence[WatchReport]) -> list[str]:
        """Store the reports durably and learn from them, in one round trip. Their event ids. Raises Unavailable (not
        stored, nothing learned)."""
        events = self._watching.stamped(viewer, reports)
        once = {event.event_id: event for event in events}
        named = [event_id for event_id, event in once.items() if event.report.event_id is not None]
        spool = self._watching.spool
        await spool.check_room()
        await self._pages_first()
        async with self._lock(viewer.id):
            record = await self._store.load(viewer.id)
            repeated = counted_before(record, named)
            counted = [event for event_id, event in once.items() if event_id not in repeated]
            learned = self._watching.learn(record, counted)
            after = with_counted(learned.record, [name for name in named if name not in repeated])
            sent = spool.send(events)  # first, so that nothing counts as known that was never stored
            await self._store.save(viewer.id, after, watched=learned.watched)
            try:
                await spool.stored(sent)
            except Unavailable:
                await self._store.take_back(viewer.id, record, watched=learned.watched)
                raise
        self._count(learned, repeated=len(events) - len(counted))
        return [event.event_id for event in events]

    async def _pages_first(self) -> None:
        """Somebody waits for a page and nobody for a report: it lets pages that are being made go first, for a few
        turns of the loop."""
        for _ in range(_GIVEN_TURNS):
            if self._in_progress.count:
                await asyncio.sleep(0)

    def _count(self, learned: Learned, *, repeated: int) -> None:
        self._metrics.counted.inc(len(learned.outcomes))
        self._metrics.repeated.inc(repeated)
        self._watching.count(learned)
        self._exposures.watched(learned.judged)
        for impression, quantile in learned.judged:
            self.ranking.arms.observe(impression, quantile)

    async def receipt(self, viewer: Viewer, video_id: int) -> ExposureReceipt:
        """What a new video of the viewer's was granted at this PoP. Raises NotFound, Unavailable."""
        item = self._catalogue.item(video_id)
        if item is None or item.creator.id != viewer.user_id:
            raise NotFound("there is no such video of yours at this PoP")
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
            await self._store.save(viewer.id, after, watched=seen)

    async def acted(self, viewer: Viewer, video_id: int, action: str, *, undone: bool) -> None:
        """A "like", "share" or "bookmark" went through to the origin: taste, tail and the heart on the item follow."""
        async with self._lock(viewer.id):
            record = await self._store.load(viewer.id)
            after = record if undone else self._watching.nudged(record, video_id, "more")
            if action == "like":
                liked = tuple(kept for kept in record.preferences.liked if kept != video_id)
                liked = liked if undone else (*liked, video_id)[-500:]
                after = replace(after, preferences=_with(after.preferences, liked=liked))
            await self._store.save(viewer.id, after)

    async def reset(self, viewer: Viewer) -> None:
        """Forget taste, interests and session; watched videos stay watched, hidden ones hidden."""
        async with self._lock(viewer.id):
            record = await self._store.load(viewer.id)
            session = record.session.followed_by(secrets.token_hex(4)).forgotten() if record.session else None
            after = replace(
                record,
                taste=Taste(space=record.taste.space),
                session=session,
                preferences=_with(record.preferences, interests=()),
            )
            await self._store.save(viewer.id, after)

    async def _change(self, viewer: Viewer, change: Callable[[Preferences], Preferences]) -> None:
        async with self._lock(viewer.id):
            record = await self._store.load(viewer.id)
            session = record.session.disturbed(self._settings.rerank_events) if record.session else None
            after = replace(record, preferences=change(record.preferences), session=session)
            await self._store.save(viewer.id, after)

    async def _upkeep(self, common: CommonLists) -> None:
        """After the shared lists were made: viral alarms warm the cache; now and then statistics are written."""
        alarms = self._viral.look(self._catalogue.columns, common.suspects)
        if alarms:
            self._metrics.viral.inc(len(alarms))
            self._warm([alarm.video_id for alarm in alarms])
        if self._clock() >= self._statistics_due_s:
            self._statistics_due_s = self._clock() + self._settings.statistics_s
            await self._statistics.save(self._catalogue.columns)

    @property
    def viral(self) -> tuple[int, ...]:
        """Videos that are going viral at this PoP."""
        return self._viral.going

    def viral_elsewhere(self, video_ids: Sequence[int]) -> None:
        """Order what went viral at other PoPs into the cache, once."""
        fresh = self._viral.heard(video_ids)
        if fresh:
            self._warm(fresh)

    def _warm(self, video_ids: Sequence[int]) -> None:
        self._delivery.prefetch(warm_orders(self._catalogue, video_ids, region=self._region))

    async def _recalled(self, viewer: Viewer, record: ViewerRecord) -> ViewerRecord:
        """The record of a viewer this PoP meets first, with what the origin knows of them."""
        learned = self._watching.recalled(record, await self._history.recent(viewer.id))
        if not learned.watched:
            return record
        await self._store.save(viewer.id, learned.record, watched=learned.watched)
        return await self._store.load(viewer.id)

    def _lock(self, viewer_id: str) -> asyncio.Lock:
        """One generation at a time per viewer; the lock lives as long as somebody holds or awaits it."""
        lock = self._locks.get(viewer_id)
        if lock is None:
            lock = self._locks[viewer_id] = asyncio.Lock()
        return lock

    async def _relations(self, viewer: Viewer) -> Relations:
        return await self._users.relations(viewer.user_id) if viewer.user_id else NO_RELATIONS


class _InProgress:
    """How many are inside a `with` block at once; entering says so, itself included."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> int:
        self.count += 1
        return self.count

    def __exit__(self, *_: object) -> None:
        self.count -= 1


def _continued(session: Session | None, asked: tuple[str, int] | None) -> tuple[Session, int]:
    """The session a cursor continues and the place in it; a new session without a cursor or after one has ended."""
    if session is not None and asked is not None and asked[0] == session.id:
        return session, min(asked[1], session.position)
    new_id = secrets.token_hex(4)
    return (session.followed_by(new_id) if session is not None else Session(id=new_id)), 0


def _with(prefs: Preferences, **changes: tuple[object, ...]) -> Preferences:
    return msgspec.structs.replace(prefs, **changes)
