"""Composition of a PoP: settings -> cache, replica, feed, spool -> routes on one socket.

Order of routes: the feed's own under /api/v1, then everything else under /api/v1 to the origin, media to delivery, and
the web app for the rest.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
from aiohttp import web
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from redis.exceptions import RedisError

from edge.catalogue.origin_client import HttpCatalogueOrigin
from edge.catalogue.replica import CatalogueReplica
from edge.catalogue.verifier import ReplicaVerifier
from edge.control.heartbeat import Heartbeat
from edge.control.keys import RemoteKeys
from edge.control.long_poll import follow
from edge.control.orders import EndedSessions, PurgeOrders
from edge.control.user_context import RemoteUserContext
from edge.delivery.access_log import AccessLog
from edge.delivery.delivery import Delivery
from edge.delivery.lane.server import serve_edge
from edge.delivery.metrics import DeliveryMetrics
from edge.delivery.prefetcher import PrefetchOrder, PrefetchPriority
from edge.delivery.rules.byte_range import Span
from edge.delivery.settings import DeliverySettings
from edge.events.forwarder import EventForwarder, HttpEventOrigin
from edge.events.spool import EventSpool
from edge.feed import ports
from edge.feed.history import HttpViewerHistory
from edge.feed.rollout import HttpReleases, ModelRollout, arms_for_heartbeat
from edge.feed.routes import FeedRoutes
from edge.feed.service import Feed
from edge.gateway.actions import ViewerActions
from edge.gateway.proxy import OriginProxy
from edge.gateway.web_app import WebApp
from edge.settings import PopSettings
from foundation.errors import Unavailable
from foundation.http.endpoint import mount, refuse_other_methods
from foundation.http.guard import TokenGuard
from foundation.http.server import VERSION, new_app, parse_listen, run_service
from foundation.telemetry.metrics import new_registry
from foundation.telemetry.traces import make_tracer
from foundation.tokens.access import Revoked
from foundation.wire.pops import PopDirective, PopHeartbeat, PurgeOrder
from inference.feed.columns import FeedColumns

DELIVERY: web.AppKey[Delivery] = web.AppKey("delivery", Delivery)
MEDIA_PREFIX = "/videos/"
AVATAR_PREFIX = "/avatars/"
CATCH_UP_S = 30
"""After a start, media of an earlier life is validated until the purge log is applied, at most this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pop:
    """The parts of one PoP, opened and owned by `compose`."""

    settings: PopSettings
    session: aiohttp.ClientSession
    delivery: Delivery
    replica: CatalogueReplica
    feed: Feed
    spool: EventSpool
    guard: TokenGuard
    revoked: Revoked
    users: RemoteUserContext
    rollout: ModelRollout


@asynccontextmanager
async def compose(settings: PopSettings) -> AsyncIterator[web.Application]:
    async with AsyncExitStack() as stack:
        tracer = make_tracer(service="edge", endpoint=settings.otlp_endpoint)
        stack.push_async_callback(asyncio.to_thread, tracer.shutdown)
        registry = new_registry()
        pop = await _open(settings, stack, registry)
        purges = PurgeOrders(pop.delivery, seq=pop.delivery.stats().purge_sequence)
        app = new_app("PoP", ready=lambda: _ready(pop), registry=registry, tracer=tracer)
        await _mount(app, pop)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        followers = _follow_centre(tasks, pop, purges)
        yield app
        for task in followers:
            task.cancel()


async def _open(settings: PopSettings, stack: AsyncExitStack, registry: CollectorRegistry) -> Pop:
    session = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
    delivery = await Delivery.open(delivery_settings(settings))
    stack.push_async_callback(delivery.close)
    DeliveryMetrics(delivery).register(registry)
    access_log = AccessLog(delivery.tally)
    stack.push_async_callback(access_log.close)
    valkey = Redis.from_url(str.__str__(settings.valkey_url), socket_timeout=5, socket_connect_timeout=2)
    stack.push_async_callback(valkey.aclose)
    revoked = Revoked(clock_s=time.time)
    keys = RemoteKeys(
        url=f"{settings.origin_url}/.well-known/jwks.json", session=session, kept=settings.data_dir / "jwks.json"
    )
    users = RemoteUserContext(
        session=session, origin_url=settings.origin_url, service_key=settings.service_key, clock_s=time.monotonic
    )
    stack.push_async_callback(users.close)
    replica = await _open_replica(settings, stack, session, delivery, registry)
    feed = await Feed.open(
        settings.feed,
        valkey=valkey,
        catalogue=replica,
        delivery_port=_DeliveryOfFeed(delivery),
        clock=time.time,
        rng=np.random.default_rng(),
        user_context=users,
        region=settings.region,
        pop_id=settings.pop_id,
        model_dir=settings.model_dir,
        registry=registry,
        index_dir=settings.data_dir / "feed-index",
        history=HttpViewerHistory(session, base_url=settings.origin_url, service_key=settings.service_key),
    )
    stack.push_async_callback(feed.close)
    rollout = ModelRollout(
        feed.models,
        HttpReleases(session, base_url=settings.control_plane_url, service_key=settings.service_key),
        settings=settings.feed,
        model_dir=settings.model_dir,
    )
    stack.push_async_callback(rollout.close)
    spool = EventSpool(valkey)
    event_origin = HttpEventOrigin(session, base_url=settings.origin_url, service_key=settings.service_key)
    forwarder = EventForwarder(spool, event_origin, pop_id=settings.pop_id)
    forwarder.open()
    stack.push_async_callback(forwarder.close)
    return Pop(
        settings=settings,
        session=session,
        delivery=delivery,
        replica=replica,
        feed=feed,
        spool=spool,
        guard=TokenGuard(keys=keys.keys, revoked=revoked, clock_s=time.time),
        revoked=revoked,
        users=users,
        rollout=rollout,
    )


async def _open_replica(
    settings: PopSettings,
    stack: AsyncExitStack,
    session: aiohttp.ClientSession,
    delivery: Delivery,
    registry: CollectorRegistry,
) -> CatalogueReplica:
    origin = HttpCatalogueOrigin(session, base_url=settings.origin_url, service_key=settings.service_key)
    purging: set[asyncio.Task[object]] = set()

    def purge_media(video_id: int) -> None:
        """A deleted video leaves the cache with the feed, without waiting for the control plane's order."""
        task = asyncio.create_task(delivery.purge(PurgeOrder(seq=0, tag=f"video-{video_id}")))
        purging.add(task)
        task.add_done_callback(purging.discard)

    replica = CatalogueReplica(
        data_dir=settings.data_dir / "catalogue",
        origin=origin,
        columns=FeedColumns(space=settings.feed.space),
        on_tombstone=purge_media,
    )
    await replica.open()
    stack.push_async_callback(replica.close)
    verifier = ReplicaVerifier(replica, origin, every_s=settings.verify_s, registry=registry)
    verifier.open()
    stack.push_async_callback(verifier.close)
    return replica


def delivery_settings(settings: PopSettings) -> DeliverySettings:
    """Delivery as a PoP uses it, under the knobs of `[edge.delivery]`."""
    table: dict[str, Any] = {
        "origins": (settings.origin_url,),
        "path_prefix": MEDIA_PREFIX,
        "name": settings.pop_id,
        "origin_key": settings.service_key,
        "drop_request_fields": ("authorization", "cookie"),
        "cache_dir": settings.data_dir / "media",
        "ram_bytes": settings.ram_bytes,
        "disk_bytes": settings.disk_bytes,
        "media_keys": settings.media_keys,
        "read_only": True,
        "cors_origin": "*",
        "catch_up_s": CATCH_UP_S,
    }
    return DeliverySettings(**{**table, **settings.delivery})


async def _mount(app: web.Application, pop: Pop) -> None:
    settings = pop.settings
    app[DELIVERY] = pop.delivery
    mount(app, FeedRoutes(pop.feed, region=settings.region), guard=pop.guard)
    refuse_other_methods(app)
    actions = ViewerActions(feed=pop.feed, users=pop.users, guard=pop.guard, region=settings.region)
    proxy = OriginProxy(
        origin_url=settings.origin_url,
        pop_id=settings.pop_id,
        service_key=settings.service_key,
        session=pop.session,
        after=actions,
    )
    app.router.add_route("*", "/api/v1/{tail:.*}", proxy.handle)
    app.router.add_get("/.well-known/jwks.json", proxy.handle)
    app.router.add_route("*", MEDIA_PREFIX + "{tail:.*}", pop.delivery.handle)
    app.router.add_route("*", AVATAR_PREFIX + "{tail:.*}", pop.delivery.handle)
    app.router.add_route("*", "/t/{token}" + MEDIA_PREFIX + "{tail:.*}", pop.delivery.handle)
    web_app = await asyncio.to_thread(WebApp.load, settings.web_dir, find_item=pop.replica.item)
    app.router.add_get("/{path:.*}", web_app.handle)


def _follow_centre(tasks: asyncio.TaskGroup, pop: Pop, purges: PurgeOrders) -> list[asyncio.Task[None]]:
    settings = pop.settings

    def told(directive: PopDirective) -> None:
        pop.rollout.told(directive)
        pop.feed.viral_elsewhere([int(video_id) for video_id in directive.viral if video_id.isdigit()])

    async def observe() -> PopHeartbeat:
        return await _heartbeat(pop, purge_seq=purges.seq)

    heartbeat = Heartbeat(
        session=pop.session,
        control_plane_url=settings.control_plane_url,
        service_key=settings.service_key,
        every_s=settings.heartbeat_s,
        observe=observe,
        told=told,
    )
    follow_purges = follow(
        session=pop.session,
        url=f"{settings.control_plane_url}/internal/v1/purges",
        service_key=settings.service_key,
        after=purges.seq,
        apply=purges.apply,
        event="purges_unreachable",
    )
    follow_revocations = follow(
        session=pop.session,
        url=f"{settings.origin_url}/internal/v1/revocations",
        service_key=settings.service_key,
        after=0,
        apply=EndedSessions(pop.revoked).apply,
        event="revocations_unreachable",
    )
    return [
        tasks.create_task(heartbeat.run(), name="heartbeat"),
        tasks.create_task(follow_purges, name="purges"),
        tasks.create_task(follow_revocations, name="revocations"),
    ]


async def _heartbeat(pop: Pop, *, purge_seq: int) -> PopHeartbeat:
    stats, replica = pop.delivery.stats(), pop.replica.state
    try:
        spooled = await pop.spool.length()
    except (RedisError, OSError, TimeoutError):  # the beat matters more than this figure
        spooled = 0
    return PopHeartbeat(
        pop_id=pop.settings.pop_id,
        region=pop.settings.region,
        base_url=pop.settings.base_url,
        version=VERSION,
        catalogue_seq=replica.seq,
        catalogue_videos=replica.videos,
        purge_seq=purge_seq,
        cache_used_bytes=stats.used_bytes,
        cache_hit_ratio=stats.hit_ratio,
        spooled_events=spooled,
        viral=tuple(map(str, pop.feed.viral)),
        **arms_for_heartbeat(pop.feed.ranking.arms),
    )


async def _ready(pop: Pop) -> None:
    """Ready once there is a catalogue: the origin answered, or an earlier run left one."""
    state = pop.replica.state
    if not state.connected and state.videos == 0:
        raise Unavailable("the catalogue has not been fetched from the origin yet")


class _DeliveryOfFeed:
    """The feed's port onto delivery."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._ordering: set[asyncio.Task[None]] = set()

    def prefetch(self, orders: Sequence[ports.PrefetchOrder]) -> None:
        wanted = [_prefetch_order(order) for order in sorted(orders, key=lambda order: order.priority)]
        task = asyncio.create_task(self._delivery.prefetch(wanted, priority=PrefetchPriority.FEED))
        self._ordering.add(task)  # only queues: ends in one step
        task.add_done_callback(self._ordering.discard)

    def is_cached(self, path: str, prefix_bytes: int) -> bool:
        return self._delivery.is_cached(path, prefix_bytes=prefix_bytes)


def _prefetch_order(order: ports.PrefetchOrder) -> PrefetchOrder:
    return PrefetchOrder(path=order.path, span=Span(order.first_byte, order.last_byte + 1))


@asynccontextmanager
async def _serve(app: web.Application, listen: str) -> AsyncIterator[None]:
    host, port = parse_listen(listen)
    gc.collect()
    gc.freeze()  # a catalogue of a million rows stays: walking it at every full collection would stop the feed
    server = await serve_edge(app[DELIVERY], host=host, port=port, app=app, reuse_port=False)
    try:
        yield
    finally:
        await server.close()


if __name__ == "__main__":
    run_service("edge", PopSettings, compose, serve=_serve)
