"""Routes of one video: view, status (also as server-sent events), change, delete, process again."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from foundation.http.endpoint import Access, Call, endpoint
from foundation.ids import UserId, VideoId
from foundation.stores.listener import Listener
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family, shard_of
from foundation.wire import Wire
from origin.accounts.access import AccessStore
from origin.accounts.account_store import Account, AccountStore
from origin.engagement.engagement_store import EngagementStore
from origin.errors import NotYours, StateConflict, UnknownVideo
from origin.lifecycle.media_access import MediaAccess
from origin.lifecycle.states import VideoState, Visibility, narrowed
from origin.lifecycle.video import Video, VideoView, media_urls, video_view
from origin.lifecycle.video_store import VideoStore
from origin.limits import Limits
from origin.stores import VIDEO_CHANNEL
from origin.text import clean_text
from origin.uploads.messages import Hashtags, VideoStatus
from origin.uploads.rules import clean_hashtags

_TERMINAL = (VideoState.FAILED, VideoState.BLOCKED, VideoState.DELETED)
_KEEPALIVE_S = 15.0
_STREAM_S = 600.0


class VideoChange(Wire, frozen=True, kw_only=True):
    """Members left out stay as they are."""

    title: Annotated[str, Meta(max_length=150)] | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=2200)] | UnsetType = UNSET
    hashtags: Hashtags | UnsetType = UNSET
    visibility: Literal["public", "unlisted", "followers", "private"] | UnsetType = UNSET
    comments_open: bool | UnsetType = UNSET
    remixes_open: bool | UnsetType = UNSET
    """Whether others may duet and stitch it and use its sound."""
    publish_at: Annotated[dt.datetime, Meta(tz=True)] | UnsetType | None = UNSET
    """Another time for a video that is not out yet; null or one that has passed: as soon as it is ready."""


class VideoRoutes:
    def __init__(
        self,
        *,
        videos: VideoStore,
        accounts: AccountStore,
        access: AccessStore,
        engagements: EngagementStore,
        media: MediaAccess,
        listeners: dict[str, Listener],
        shards: Shards,
        limits: Limits,
        erase_settle_s: float,
    ) -> None:
        self._videos = videos
        self._accounts = accounts
        self._access = access
        self._engagements = engagements
        self._media = media
        self._listeners = listeners
        self._shards = shards
        self._limits = limits
        self._erase_settle_s = erase_settle_s

    @endpoint("GET", "/api/v1/videos/{id}", summary="A video", reply=VideoView, problems=(UnknownVideo,))
    async def video(self, call: Call[None]) -> VideoView:
        """Videos that are not out, private or of someone who blocked you do not exist for you."""
        viewer = call.caller.user_id if call.caller else None
        video = await self.visible(VideoId(call.path_id("id")), viewer)
        owner = await self._accounts.get(video.owner_id)
        mine = await self._engagements.of_viewer(viewer, [video.id])
        return video_view(
            video,
            owner.creator(),
            await self._videos.counters_of(video.id),
            liked=video.id in mine.liked,
            bookmarked=video.id in mine.bookmarked,
            media_root=self._media.root(video),
        )

    async def visible(self, video_id: VideoId, viewer: UserId | None) -> Video:
        """The video, if `viewer` may see it. Raises UnknownVideo."""
        video = await self._videos.get(video_id)
        if not await self._media.may_see(video, viewer):
            raise UnknownVideo(f"there is no video {video_id}")
        return video

    @endpoint(
        "GET",
        "/api/v1/videos/{id}/status",
        summary="Where processing stands",
        reply=VideoStatus,
        problems=(UnknownVideo,),
    )
    async def status(self, call: Call[None]) -> VideoStatus | web.StreamResponse:
        """The owner sees every state, others only that it is ready. With `Accept: text/event-stream`: an event for
        each change until a final state, at most ten minutes."""
        viewer = call.caller.user_id if call.caller else None
        video_id = VideoId(call.path_id("id"))
        video = await self._status_video(video_id, viewer)
        if "text/event-stream" in call.request.headers.get("Accept", ""):
            return await self._stream(call.request, video_id, viewer)
        return status_of(video, media_root=self._media.root(video))

    async def _status_video(self, video_id: VideoId, viewer: UserId | None) -> Video:
        video = await self._videos.get(video_id)
        if video.owner_id != viewer and not await self._media.may_see(video, viewer):
            raise UnknownVideo(f"there is no video {video_id}")
        return video

    async def _stream(self, request: web.Request, video_id: VideoId, viewer: UserId | None) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        server = self._shards.map.server(Family.VIDEO, shard_of(Family.VIDEO, video_id))
        deadline_s = asyncio.get_running_loop().time() + _STREAM_S
        last: VideoStatus | None = None
        async with self._listeners[server].watch(VIDEO_CHANNEL, str(video_id)) as watch:
            while asyncio.get_running_loop().time() < deadline_s:
                video = await self._videos.find(video_id)
                if video is None:
                    break
                now = status_of(video, media_root=self._media.root(video))
                if now != last:
                    await response.write(b"event: status\ndata: " + msgspec.json.encode(now) + b"\n\n")
                    last = now
                if video.state in _TERMINAL or video.settled:
                    break
                if not await watch.changed(timeout_s=_KEEPALIVE_S):
                    await response.write(b": still here\n\n")
        await response.write_eof()
        return response

    @endpoint(
        "PATCH",
        "/api/v1/videos/{id}",
        summary="Change title, text, hashtags, visibility, comments, the time to be published",
        body=VideoChange,
        reply=VideoView,
        access=Access.USER,
        problems=(UnknownVideo, NotYours, StateConflict),
    )
    async def change(self, call: Call[VideoChange]) -> VideoView:
        account = await self._actor(call)
        changes: dict[str, Any] = {
            name: value for name, value in msgspec.structs.asdict(call.body).items() if value is not UNSET
        }
        for name in ("title", "description"):
            if name in changes:
                changes[name] = clean_text(changes[name]).strip()
        if "hashtags" in changes:
            changes["hashtags"] = list(clean_hashtags(tuple(changes["hashtags"])))
        if "visibility" in changes:
            wanted = Visibility(changes["visibility"])
            changes["visibility"] = str(narrowed(wanted, account_private=account.private))
        if "publish_at" in changes:
            changes["publish_at"] = changes["publish_at"] or dt.datetime.now(dt.UTC)
        video_id = VideoId(call.path_id("id"))
        if changes:
            video = await self._videos.change(video_id, account.id, account.creator(), changes)
        else:
            video = await self._videos.owned(video_id, account.id)
        return video_view(
            video,
            account.creator(),
            await self._videos.counters_of(video.id),
            liked=False,
            bookmarked=False,
            media_root=self._media.root(video),
        )

    @endpoint(
        "DELETE",
        "/api/v1/videos/{id}",
        summary="Delete a video for good",
        status=204,
        access=Access.USER,
        problems=(UnknownVideo, NotYours),
    )
    async def delete(self, call: Call[None]) -> None:
        """Works in every state, also while it is being uploaded or processed; nothing of it remains. Idempotent."""
        account = await self._actor(call)
        await self._videos.delete(VideoId(call.path_id("id")), owner=account.id, settle_s=self._erase_settle_s)

    @endpoint(
        "POST",
        "/api/v1/videos/{id}/reprocess",
        summary="Process a failed video again",
        reply=VideoStatus,
        access=Access.USER,
        problems=(UnknownVideo, NotYours, StateConflict),
    )
    async def reprocess(self, call: Call[None]) -> VideoStatus:
        account = await self._actor(call)
        video = await self._videos.owned(VideoId(call.path_id("id")), account.id)
        return status_of(await self._videos.reprocess(video.id))

    async def _actor(self, call: Call[Any]) -> Account:
        account = await self._access.actor(call)
        await self._limits.action(call.request, user_id=account.id)
        return account


def status_of(video: Video, *, media_root: str = "") -> VideoStatus:
    return VideoStatus(
        video_id=str(video.id),
        status=str(video.state),
        state=str(video.state),
        stage=video.stage,
        progress=round(video.progress, 4),
        reason=video.error_detail,
        code=video.error_code,
        urls=media_urls(video, media_root=media_root),
    )
