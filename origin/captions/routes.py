"""Routes of captions: sent and removed by the creator, served as media beside the video's own files."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from aiohttp import web

from foundation.errors import BadInput, Conflict, RequestError, TooLarge, UnsupportedMedia
from foundation.http.body import read_body
from foundation.http.endpoint import Access, Call, endpoint
from foundation.ids import VideoId
from foundation.stores.objects import ObjectStore
from foundation.wire import Wire
from foundation.wire.feed import CaptionView
from origin.accounts.access import AccessStore
from origin.accounts.account_store import Account
from origin.captions.caption_store import CaptionStore
from origin.captions.webvtt import LANGUAGE_PATTERN, MAX_BYTES, language_tag, parse, render
from origin.errors import NotYours, UnknownVideo
from origin.lifecycle.media_access import MediaAccess
from origin.lifecycle.object_keys import captions_prefix
from origin.lifecycle.video import caption_views
from origin.lifecycle.video_store import VideoStore
from origin.limits import Limits

_LANG = {"lang": {"pattern": LANGUAGE_PATTERN}}


class CaptionList(Wire, frozen=True, kw_only=True):
    captions: tuple[CaptionView, ...]


class CaptionRoutes:
    def __init__(
        self,
        *,
        captions: CaptionStore,
        videos: VideoStore,
        access: AccessStore,
        media: MediaAccess,
        objects: ObjectStore,
        limits: Limits,
    ) -> None:
        self._captions = captions
        self._videos = videos
        self._access = access
        self._media = media
        self._objects = objects
        self._limits = limits

    @endpoint(
        "GET",
        "/api/v1/videos/{id}/captions",
        summary="Captions of a video",
        reply=CaptionList,
        problems=(UnknownVideo,),
    )
    async def captions(self, call: Call[None]) -> CaptionList:
        viewer = call.caller.user_id if call.caller else None
        video = await self._videos.get(VideoId(call.path_id("id")))
        if not await self._media.may_see(video, viewer):
            raise UnknownVideo(f"there is no video {video.id}")
        return CaptionList(captions=caption_views(video, media_root=self._media.root(video)))

    @endpoint(
        "PUT",
        "/api/v1/videos/{id}/captions/{lang}",
        summary="Set the captions of a language",
        body_type="text/vtt",
        reply=CaptionList,
        access=Access.USER,
        path_schemas=_LANG,
        problems=(UnknownVideo, NotYours, BadInput, TooLarge, UnsupportedMedia, Conflict),
    )
    async def set_captions(self, call: Call[None]) -> CaptionList:
        """The body is WebVTT in UTF-8, at most 512 KiB and 5000 cues; `{lang}` like "en", "pt-BR" or "zh-Hant".
        Cues with their times, places and text are kept; styles, regions and notes are not."""
        account, video_id, lang = await self._owned(call)
        data = await asyncio.to_thread(lambda sent: render(parse(sent)), await _body(call.request))
        file = f"{lang}-{secrets.token_hex(8)}.vtt"
        await self._objects.put_bytes(captions_prefix(video_id) + file, data, content_type="text/vtt")
        try:
            return await self._set(account, video_id, lang=lang, file=file)
        except RequestError:  # after any other the change may have been made: the file stays, and goes with the video
            await self._objects.delete(captions_prefix(video_id) + file)
            raise

    @endpoint(
        "DELETE",
        "/api/v1/videos/{id}/captions/{lang}",
        summary="Remove the captions of a language",
        reply=CaptionList,
        access=Access.USER,
        path_schemas=_LANG,
        problems=(UnknownVideo, NotYours),
    )
    async def remove_captions(self, call: Call[None]) -> CaptionList:
        """Idempotent."""
        account, video_id, lang = await self._owned(call)
        return await self._set(account, video_id, lang=lang, file=None)

    async def _set(self, account: Account, video_id: VideoId, *, lang: str, file: str | None) -> CaptionList:
        video, former = await self._captions.set(video_id, account.id, account.creator(), lang=lang, file=file)
        if former is not None:
            await self._objects.delete(captions_prefix(video_id) + former)
        return CaptionList(captions=caption_views(video, media_root=self._media.root(video)))

    async def _owned(self, call: Call[Any]) -> tuple[Account, VideoId, str]:
        account = await self._access.actor(call)
        await self._limits.action(call.request, user_id=account.id)
        lang = language_tag(call.path("lang"))
        video = await self._videos.owned(VideoId(call.path_id("id")), account.id)
        return account, video.id, lang


async def _body(request: web.Request) -> bytes:
    """Raises UnsupportedMedia, TooLarge."""
    if request.content_type not in ("text/vtt", "text/plain", "application/octet-stream"):
        raise UnsupportedMedia("send the captions as `Content-Type: text/vtt`")
    return await read_body(request, limit=MAX_BYTES, too_large=f"captions have at most {MAX_BYTES // 1024} KiB")
