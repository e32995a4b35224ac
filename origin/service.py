"""`python -m origin.service --config FILE`: composes the API process. The only place that wires."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from redis.exceptions import RedisError

from foundation.http.endpoint import mount
from foundation.http.guard import TokenGuard
from foundation.http.server import new_app, run_service
from foundation.stores.errors import HotStateUnavailable
from foundation.tokens.access import Revoked
from origin.accounts.access import AccessStore
from origin.accounts.account_store import AccountStore
from origin.accounts.admin_routes import AdminRoutes
from origin.accounts.avatar_routes import AvatarRoutes
from origin.accounts.bot_job import BotJob
from origin.accounts.bot_routes import BotRoutes
from origin.accounts.erasure import Erasure
from origin.accounts.passwords import Passwords, open_passwords
from origin.accounts.pictures import Pictures
from origin.accounts.routes import AccountRoutes
from origin.accounts.session_store import SessionStore
from origin.accounts.tokens import AccessTokens, read_keys
from origin.background import background
from origin.captions.caption_store import CaptionStore
from origin.captions.routes import CaptionRoutes
from origin.catalogue.routes import CatalogueRoutes
from origin.engagement.comment_store import CommentStore
from origin.engagement.engagement_store import EngagementStore
from origin.engagement.routes import EngagementRoutes
from origin.events.event_store import EventStore
from origin.events.routes import EventRoutes
from origin.events.viewer_history import ViewerHistoryRoutes
from origin.lifecycle.job_routes import JobRoutes
from origin.lifecycle.media_access import MediaAccess
from origin.lifecycle.remix import Remix
from origin.lifecycle.routes import VideoRoutes
from origin.lifecycle.video_lists import VideoLists
from origin.lifecycle.video_store import VideoStore
from origin.limits import Limits, announce_limits
from origin.media.routes import MediaRoutes
from origin.search.routes import SearchRoutes
from origin.search.search_store import SearchStore
from origin.settings import OriginSettings
from origin.social.relations import RelationRoutes
from origin.social.routes import SocialRoutes
from origin.social.social_store import SocialStore
from origin.sounds.intake import SoundIntake
from origin.sounds.routes import SoundRoutes
from origin.sounds.sound_store import SoundStore
from origin.stores import Stores, open_stores
from origin.uploads.ingredients import Pantry
from origin.uploads.routes import UploadRoutes
from origin.uploads.rules import UploadRules
from origin.uploads.tus import TusRoutes, announce_tus
from origin.uploads.tus_store import TusStore
from origin.uploads.upload_store import UploadStore
from origin.uploads.uploads import Uploads


@asynccontextmanager
async def compose(settings: OriginSettings) -> AsyncIterator[web.Application]:
    """settings -> stores -> routes; background duties run while the application is served."""
    keys = await asyncio.to_thread(read_keys, settings.jwt_key_file, settings.jwt_old_key_files)
    async with (
        open_stores(settings) as stores,
        open_passwords(threads=settings.password_threads) as passwords,
    ):
        tokens = AccessTokens(keys, life_s=settings.access_life_s, clock_s=stores.clock_s)
        revoked = Revoked(clock_s=stores.clock_s)
        app = new_app("origin", ready=lambda: _ready(stores), limits=upload_limits(settings))
        app.on_response_prepare.append(announce_limits)
        app.on_response_prepare.append(announce_tus)
        guard = TokenGuard(
            keys=tokens.public_keys,
            revoked=revoked,
            clock_s=stores.clock_s,
            service_keys=settings.service_keys,
            operator_keys=settings.operator_keys,
        )
        for routes in _routes(settings, stores, passwords, tokens):
            mount(app, routes, guard=guard)
        async with background(stores, settings, revoked=revoked):
            yield app


def _routes(settings: OriginSettings, stores: Stores, passwords: Passwords, tokens: AccessTokens) -> list[object]:
    shards = stores.shards
    limits = Limits(
        stores.limiter,
        tiers=settings.tiers,
        requests_per_minute=settings.requests_per_minute,
        logins_per_minute=settings.logins_per_minute,
        service_keys=settings.service_keys,
        clock_s=stores.clock_s,
    )
    accounts = AccountStore(shards)
    access = AccessStore(shards, accounts)
    videos = VideoStore(shards)
    engagements = EngagementStore(shards)
    sounds = SoundStore(shards)
    remix = Remix(videos=videos, sounds=sounds, access=access)
    search = SearchStore(shards)
    media = MediaAccess(
        access=access,
        keys={kid: str.__str__(key).encode() for kid, key in settings.media_keys.items()},
        life_s=settings.media_token_life_s,
        clock_s=stores.clock_s,
    )
    uploads = Uploads(
        videos=videos,
        uploads=UploadStore(shards, videos),
        objects=stores.objects,
        rules=UploadRules(
            max_file_bytes=settings.max_file_bytes,
            min_duration_ms=settings.min_duration_ms,
            max_duration_ms=settings.max_duration_ms,
            chunk_bytes=settings.chunk_bytes,
        ),
        ids=stores.ids,
        region=settings.region,
        life_s=settings.upload_life_s,
        clock_s=stores.clock_s,
    )
    video_routes = VideoRoutes(
        videos=videos,
        accounts=accounts,
        access=access,
        engagements=engagements,
        media=media,
        listeners=stores.listeners,
        shards=shards,
        limits=limits,
        erase_settle_s=settings.erase_settle_s,
    )
    lists = VideoLists(shards=shards, accounts=accounts, access=access, engagements=engagements, media=media)
    social_routes = SocialRoutes(
        social=SocialStore(shards), accounts=accounts, access=access, lists=lists, limits=limits, shards=shards
    )
    return [
        AccountRoutes(
            accounts=accounts,
            sessions=SessionStore(shards, refresh_life_s=settings.refresh_life_s),
            access=access,
            passwords=passwords,
            tokens=tokens,
            limits=limits,
            ids=stores.ids,
            clock_s=stores.clock_s,
            allow_internal_users=settings.allow_internal_users,
        ),
        BotRoutes(
            shards=shards,
            job=BotJob(shards, every_s=settings.bot_score_every_s, clock_s=stores.clock_s),
        ),
        AvatarRoutes(accounts=accounts, access=access, objects=stores.objects, pictures=Pictures(), limits=limits),
        UploadRoutes(
            uploads=uploads,
            access=access,
            limits=limits,
            pantry=Pantry(remix=remix),
            public_url=settings.public_url,
        ),
        JobRoutes(shards=shards, videos=videos),
        AdminRoutes(
            shards=shards,
            accounts=accounts,
            passwords=passwords,
            erasure=Erasure(
                shards=shards,
                videos=videos,
                social=SocialStore(shards),
                objects=stores.objects,
                settle_s=settings.erase_settle_s,
            ),
            limits=limits,
            clock_s=stores.clock_s,
        ),
        TusRoutes(
            uploads=uploads,
            store=TusStore(shards=shards, objects=stores.objects, part_bytes=settings.chunk_bytes),
            access=access,
            limits=limits,
            public_url=settings.public_url,
        ),
        video_routes,
        CaptionRoutes(
            captions=CaptionStore(shards),
            videos=videos,
            access=access,
            media=media,
            objects=stores.objects,
            limits=limits,
        ),
        EngagementRoutes(
            videos=videos,
            accounts=accounts,
            access=access,
            media=media,
            engagements=engagements,
            comments=CommentStore(shards),
            limits=limits,
            ids=stores.ids,
        ),
        SearchRoutes(search=search, lists=lists, accounts=accounts, access=access),
        SoundRoutes(
            sounds=sounds,
            intake=SoundIntake(
                sounds=sounds, objects=stores.objects, ids=stores.ids, max_bytes=settings.max_sound_bytes
            ),
            remix=remix,
            search=search,
            lists=lists,
            accounts=accounts,
            access=access,
            media=media,
            objects=stores.objects,
            limits=limits,
            ids=stores.ids,
        ),
        social_routes,
        CatalogueRoutes(shards=shards, listener=stores.control_listener, tokens=tokens),
        EventRoutes(events=EventStore(shards, keep_days=settings.event_days), clock_s=stores.clock_s),
        ViewerHistoryRoutes(shards=shards),
        RelationRoutes(shards),
        MediaRoutes(videos=videos, objects=stores.objects, access=media),
    ]


def upload_limits(settings: OriginSettings) -> dict[str, dict[str, int]]:
    """What init refuses, said in the document before anybody asks."""
    duration = {"minimum": settings.min_duration_ms, "maximum": settings.max_duration_ms}
    return {
        "UploadInit.filesize": {"minimum": 1, "maximum": settings.max_file_bytes},
        "UploadInit.durationMs": duration,
        "UploadInit.duration_ms": duration,
    }


async def _ready(stores: Stores) -> None:
    """Ready when the control database, Valkey and the bucket answer."""
    async with stores.shards.control() as connection:
        await connection.fetchval("select 1")
    try:
        await stores.valkey.ping()
    except RedisError as err:
        raise HotStateUnavailable("Valkey does not answer") from err
    await stores.objects.ensure_bucket()


def main() -> None:
    run_service("origin", OriginSettings, compose)


if __name__ == "__main__":
    main()
