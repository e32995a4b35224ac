"""Delivery: the cache of one worker process, put together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from edge.delivery.access import Gatekeeper
from edge.delivery.ask import Ask, Target, parse_target
from edge.delivery.decision import select
from edge.delivery.errors import DeliveryError
from edge.delivery.lane.fast_lane import FastLane
from edge.delivery.player_hints import PlayerHints
from edge.delivery.prefetcher import PrefetchCounts, Prefetcher, PrefetchOrder, PrefetchPriority
from edge.delivery.request_steps import RequestSteps
from edge.delivery.rules.byte_range import Span
from edge.delivery.rules.cmcd import Cmcd
from edge.delivery.settings import DeliverySettings
from edge.delivery.store.cache_directory import CacheDirectory
from edge.delivery.store.disk_tier import DiskTier
from edge.delivery.store.purge_journal import Purge, PurgeJournal
from edge.delivery.store.ram_tier import RamTier
from edge.delivery.store.response_store import Departure, Purged, ResponseStore
from edge.delivery.store.shelves import Shelves
from edge.delivery.store.stored_response import StoredResponse
from edge.delivery.tally import Tally
from edge.delivery.text_coding import TextCoder
from edge.delivery.upstream.fetcher import Fetcher, Private
from edge.delivery.upstream.origin import Exchange, OriginRequest, Origins
from edge.delivery.upstream.slice_source import SliceSource
from edge.delivery.workers import Workers
from foundation.wire.pops import PurgeOrder

DISK_THREADS = 4
MAX_CODED_BYTES = 256 << 10
"""Longer text is sent as it is: gzip takes a thread for about 20 ms a megabyte."""


def steady_clock() -> Callable[[], float]:
    """Unix seconds that never step: the wall clock at start plus the monotonic time since."""
    offset = time.time() - time.monotonic()
    return lambda: time.monotonic() + offset


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeResult:
    """What a purge found in this worker's memory; what is on disk is judged when it is read."""

    removed: int
    marked_stale: int
    sequence: int
    """Highest control-plane sequence number applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryStats:
    requests: int
    hits: int
    hit_ratio: float
    body_bytes: int
    objects: int
    ram_bytes: int
    disk_bytes: int
    purge_sequence: int
    prefetched: int
    collapsed: int
    failovers: int

    @property
    def used_bytes(self) -> int:
        return self.ram_bytes + self.disk_bytes


class Delivery:
    """Open one per worker process, `close` it. Everything runs on the loop that opened it."""

    @classmethod
    async def open(
        cls, settings: DeliverySettings, *, clock: Callable[[], float] | None = None, slot: int = 0
    ) -> Delivery:
        """`slot` is this worker's number, 0 to `settings.workers` - 1.

        Raises OSError when the cache directory cannot be made or written, SettingsError for a bad origin URL."""
        delivery = cls(settings, clock=clock or steady_clock(), slot=slot)
        await delivery._start()
        return delivery

    def __init__(self, settings: DeliverySettings, *, clock: Callable[[], float], slot: int) -> None:
        self.settings = settings
        self._slot = slot
        self.clock = clock
        self.tally = Tally()
        self._purging = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._executor = ThreadPoolExecutor(DISK_THREADS, thread_name_prefix="delivery-disk")
        self._workers = self._make_workers()
        self._disk = self._make_disk()
        self.shelves = Shelves(RamTier(settings.ram_bytes), self._disk)
        self.gatekeeper = Gatekeeper(settings.media_keys, require_token=settings.require_token, clock=clock)
        self.lane = FastLane(
            ram=self.shelves.ram,
            tally=self.tally,
            clock=clock,
            name=settings.name,
            cors_origin=settings.cors_origin,
            require_token=settings.require_token,
            grant=self.gatekeeper.grant,
            embedders=frozenset(settings.embedding_hosts),
            ignored_fields=frozenset(name.lower().encode() for name in settings.drop_request_fields),
        )
        path = settings.cache_dir / "purges.ndjson" if settings.cache_dir else None
        self.store = ResponseStore(
            shelves=self.shelves,
            journal=PurgeJournal(path),
            max_keys=settings.max_objects,
            on_change=self.lane.forget,
        )
        self.coder = TextCoder(
            shelves=self.shelves,
            executor=self._executor,
            tally=self.tally,
            max_bytes=MAX_CODED_BYTES,
            is_on=settings.compress_text and not settings.child_keys,
        )
        self._origins = Origins(settings, clock=clock)
        self.source = SliceSource(
            shelves=self.shelves,
            origins=self._origins,
            read_ahead=settings.read_ahead_slices,
            spawn=self._spawn,
            on_changed=self._on_changed,
        )
        self.fetcher = Fetcher(
            settings=settings,
            store=self.store,
            origins=self._origins,
            source=self.source,
            clock=clock,
            spawn=self._spawn,
        )
        self.opened_s = clock()
        self._behind_until_s = self.opened_s + settings.catch_up_s
        self.steps = RequestSteps(self)
        self._hints: PlayerHints | None = None
        self._prefetcher: Prefetcher | None = None

    def _make_disk(self) -> DiskTier | None:
        if self.settings.cache_dir is None:
            return None
        return DiskTier(
            CacheDirectory(self.settings.cache_dir),
            capacity=self.settings.disk_bytes,
            max_responses=self.settings.max_objects,
            executor=self._executor,
            clock=self.clock,
            slot=self._slot,
            slots=self.settings.workers,
            workers=self._workers,
        )

    def _make_workers(self) -> Workers | None:
        if self.settings.workers == 1 or self.settings.cache_dir is None:
            return None
        return Workers(
            self.settings.cache_dir,
            slot=self._slot,
            slots=self.settings.workers,
            on_purge=self._catch_up,
            on_slice=self._hear_of_slice,
        )

    def _catch_up(self) -> None:
        """Apply purges other workers (or an earlier life) wrote to the journal."""
        for purge in self.store.journal.read():  # a few lines at most: quicker than a thread
            self._apply(purge)

    def _hear_of_slice(self, body_id: str, index: int, size: int, uses: int) -> None:
        if self._disk is not None:
            self._disk.hear_of((body_id, index), size, uses)

    async def _start(self) -> None:
        if self._disk is not None:
            await self._disk.start()
        if self._workers is not None:
            self._workers.start()
        self._catch_up()
        self._prefetcher = Prefetcher(
            self.steps.prefetch_one,
            workers=self.settings.background_connections,
            max_queued=self.settings.prefetch_queue,
            bytes_per_s=self.settings.prefetch_bytes_per_s,
            clock=self.clock,
        )
        self._hints = PlayerHints(
            gatekeeper=self.gatekeeper,
            tally=self.tally,
            path_prefix=self.settings.path_prefix,
            order=partial(self._prefetcher.move_on, priority=PrefetchPriority.NEXT),
        )
        self.lane.on_cmcd = self._hints.take

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work that belongs to no single request; it ends with the delivery at the latest."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_changed(self, stored: StoredResponse) -> None:
        self.store.drop(stored, Departure.CHANGED)

    # -- serving -----------------------------------------------------------------------------------------------------

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request for a delivered path, whatever it is."""
        return await self.steps.handle(request)

    def refresh(self, ask: Ask, stored: StoredResponse) -> None:
        """Revalidate behind a stale answer."""
        if not self.fetcher.is_flying(ask.key):
            self._spawn(self._refresh(ask, stored))

    async def _refresh(self, ask: Ask, stored: StoredResponse) -> None:
        with suppress(DeliveryError):  # the stale answer was served; the next request sees what it sees
            got = await self.fetcher.fetch(ask, stored if stored.has_validator else None)
            if isinstance(got, Private):
                got.exchange.close()

    async def ask_origin(self, request: OriginRequest) -> Exchange:
        """Straight to the origin, past the cache. Raises DeliveryError."""
        return await self._origins.ask(request)

    async def bring_in(self, ask: Ask, span: Span | None) -> int:
        """Fetch what is missing of `span` (None: slice 0); its bytes, 0 if it was here. Raises DeliveryError."""
        stored = select(await self.store.find(ask.key), ask)
        fetched = False
        if stored is None or not stored.is_fresh(self.clock()):
            got = await self.fetcher.fetch(ask, stored if stored is not None and stored.has_validator else None)
            if isinstance(got, Private):
                got.exchange.close()
                return 1
            stored, fetched = got.stored, True
        if stored.total <= 0:
            return int(fetched)
        wanted = stored.layout.span(0, stored.total) if span is None else Span(span.start, min(span.stop, stored.total))
        pieces = [piece.slice_index for piece in stored.layout.pieces(wanted)]
        fetched = fetched or not all(self.shelves.holds(stored.body_id, index) for index in pieces)
        chunks = self.source.read(
            stored, wanted, request=self.fetcher.origin_headers(ask.headers), priority=ask.priority
        )
        size = 0
        async with aclosing(chunks):
            async for chunk in chunks:
                size += len(chunk)
        return size if fetched else 0

    # -- purge, prefetch, figures ------------------------------------------------------------------------------------

    async def purge(self, order: PurgeOrder) -> PurgeResult:
        """Carry out one order; when this returns nothing purged is served any more, here or by a sibling.

        Raises BadInput; OSError when it cannot be recorded: it then holds in this worker, but is not done.
        """
        url = parse_target(order.url).key if order.url is not None else None
        wanted = Purge(number=0, url=url, prefix=order.prefix, tag=order.tag, soft=order.soft, order=order.seq)
        async with self._purging:  # one at a time: numbers follow the order of calls
            journal, loop = self.store.journal, asyncio.get_running_loop()
            try:
                purges = await loop.run_in_executor(self._executor, journal.write, wanted)
            except OSError:
                self._apply(msgspec.structs.replace(wanted, number=journal.head + 1, order=0))
                raise
            done = [self._apply(purge) for purge in purges][-1]
        if self._workers is not None:
            await self._workers.announce_purge()
        return PurgeResult(removed=done.removed, marked_stale=done.marked_stale, sequence=self.store.journal.order_head)

    def _apply(self, purge: Purge) -> Purged:
        self.store.journal.note(purge)
        if purge.prefix is not None:
            self.fetcher.ground(lambda key: key.startswith(purge.prefix or ""))
        else:
            self.fetcher.ground(lambda key: purge.tag is not None or key == purge.url)
        return self.store.apply(purge)

    def heed(self, target: Target, cmcd: Cmcd) -> None:
        """Act on what a player said with a slow-lane request."""
        assert self._hints is not None
        self._hints.act_on(target, cmcd)

    async def prefetch(self, orders: Sequence[PrefetchOrder], *, priority: PrefetchPriority) -> None:
        """Queue orders and return at once."""
        assert self._prefetcher is not None
        self._prefetcher.order(orders, priority=priority)

    @property
    def prefetch_counts(self) -> PrefetchCounts:
        assert self._prefetcher is not None
        return self._prefetcher.counts

    async def prefetched(self) -> None:
        """Wait until every order is carried out."""
        assert self._prefetcher is not None
        await self._prefetcher.idle()

    def caught_up(self) -> None:
        """Purges issued while this PoP was away are applied: what is on disk may be served as it is."""
        self._behind_until_s = 0.0

    def may_be_purged(self, stored: StoredResponse) -> bool:
        """Stored by an earlier life, and the purges since are not known yet: to be validated before it is served.

        The wait is bounded: a PoP that starts while the centre is away plays what it has.
        """
        return stored.request_s < self.opened_s and self.clock() < self._behind_until_s

    def is_cached(self, path: str, *, prefix_bytes: int) -> bool:
        """Whether the first `prefix_bytes` of `path` are here and fresh. Memory look-ups only."""
        now_s = self.clock()
        for stored in self.store.index.get(path):
            if stored.is_fresh(now_s):
                last = stored.layout.index_of(max(0, min(prefix_bytes, stored.total) - 1))
                return all(self.shelves.holds(stored.body_id, index) for index in range(last + 1))
        return False

    def stats(self) -> DeliveryStats:
        tally, total = self.tally, self.tally.total
        return DeliveryStats(
            requests=total,
            hits=tally.hits,
            hit_ratio=tally.hits / total if total else 0.0,
            body_bytes=tally.fast.bytes + sum(tally.body_bytes.values()),
            objects=len(self.store.index),
            ram_bytes=self.shelves.ram.used,
            disk_bytes=self._disk.used if self._disk else 0,
            purge_sequence=self.store.journal.order_head,
            prefetched=self._prefetcher.counts.fetched if self._prefetcher else 0,
            collapsed=tally.collapsed,
            failovers=self._origins.failovers,
        )

    async def settled(self) -> None:
        """Wait until no fetch is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def flush(self) -> None:
        """Wait until what was stored is on disk."""
        if self._disk is not None:
            await self._disk.flush()

    async def close(self) -> None:
        """Stop background work, finish disk writes, close connections."""
        if self._hints is not None:
            await self._hints.close()
        if self._prefetcher is not None:
            await self._prefetcher.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._origins.close()
        if self._workers is not None:
            await self._workers.close()
        if self._disk is not None:
            await self._disk.close()
        self._executor.shutdown(wait=True)
