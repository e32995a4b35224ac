"""Routes of the sound library: search, listen, videos of a sound, the sound of a video, and what operators add."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from foundation.errors import Unavailable
from foundation.http.endpoint import Access, Call, Header, endpoint
from foundation.ids import Snowflake, UserId, VideoId
from foundation.stores.objects import ObjectStore
from origin.accounts.access import AccessStore
from origin.accounts.account_store import AccountStore
from origin.audit import Act, act_of
from origin.errors import (
    FileTooLarge,
    RemixRefused,
    SoundNotReady,
    StateConflict,
    UnknownSound,
    UnknownVideo,
)
from origin.lifecycle.media_access import MediaAccess
from origin.lifecycle.remix import Remix
from origin.lifecycle.video import media_urls
from origin.lifecycle.video_lists import VideoLists, VideoPage
from origin.limits import Limits
from origin.media.relay import pass_on
from origin.pages import PageQuery, decode_cursor, encode_cursor
from origin.search.search_store import SearchStore, video_ids
from origin.sounds.intake import SoundIntake
from origin.sounds.messages import NewSound, SoundPage, SoundQuery, SoundView, sound_view
from origin.sounds.sound_store import LibrarySound, SoundState, SoundStore
from origin.text import clean_text
from packager.errors import RefusedInput


class SoundRoutes:
    def __init__(
        self,
        *,
        sounds: SoundStore,
        intake: SoundIntake,
        remix: Remix,
        search: SearchStore,
        lists: VideoLists,
        accounts: AccountStore,
        access: AccessStore,
        media: MediaAccess,
        objects: ObjectStore,
        limits: Limits,
        ids: Snowflake,
    ) -> None:
        self._sounds = sounds
        self._intake = intake
        self._remix = remix
        self._search = search
        self._lists = lists
        self._accounts = accounts
        self._access = access
        self._media = media
        self._objects = objects
        self._limits = limits
        self._ids = ids

    @endpoint("GET", "/api/v1/sounds", summary="Search the sound library", query=SoundQuery, reply=SoundPage)
    async def sounds(self, call: Call[None]) -> SoundPage:
        """Without `q`: the most used first."""
        query: SoundQuery = call.query
        after = decode_cursor(query.cursor, tuple[int, int])
        words = " ".join(clean_text(query.q).split()).lower()
        found = await self._sounds.search(words, after=after, limit=query.limit + 1)
        shown = found[: query.limit]
        return SoundPage(
            sounds=tuple(sound_view(sound) for sound in shown),
            next_cursor=encode_cursor((shown[-1].score, shown[-1].id)) if len(found) > query.limit else None,
        )

    @endpoint("GET", "/api/v1/sounds/{soundId}", summary="A sound", reply=SoundView, problems=(UnknownSound,))
    async def sound(self, call: Call[None]) -> SoundView:
        return sound_view(await self._sounds.describe(call.path_id("soundId")))

    @endpoint(
        "GET",
        "/api/v1/sounds/{soundId}/audio",
        summary="Listen to a sound",
        reply="bytes",
        reply_type="audio/mp4",
        also={206: "the range asked for", 304: "as you have it", 307: "to the video's file", 416: "it is shorter"},
        headers=(
            Header(name="Range", description="bytes=FIRST-LAST"),
            Header(name="If-None-Match", description="ETag you hold"),
        ),
        problems=(UnknownSound, SoundNotReady),
    )
    async def audio(self, call: Call[None]) -> web.StreamResponse:
        """AAC in MP4, with ranges and conditions. The sound of a video: a redirect to the video's progressive file."""
        sound = await self._sounds.get(call.path_id("soundId"))
        if sound.source_video_id is not None:
            return await self._video_audio(sound, call.caller.user_id if call.caller else None)
        if sound.state is not SoundState.READY or sound.object_key is None:
            raise SoundNotReady(f"the sound {sound.title!r} has no file (yet)")
        headers = {
            name: call.request.headers[name] for name in ("Range", "If-None-Match") if name in call.request.headers
        }
        async with self._objects.open(sound.object_key, headers=headers) as body:
            if body.status not in (200, 206, 304, 416):
                raise Unavailable("the file of this sound cannot be read now", retry_after_s=1)
            return await pass_on(call.request, body, _AUDIO_HEADERS)

    async def _video_audio(self, sound: LibrarySound, viewer: UserId | None) -> web.StreamResponse:
        assert sound.source_video_id is not None
        video = await self._remix.videos.get(sound.source_video_id)
        if not await self._media.may_see(video, viewer):
            raise UnknownSound(f"there is no sound {sound.id} to hear")
        return web.Response(
            status=307, headers={"Location": media_urls(video, media_root=self._media.root(video))["mp4"]}
        )

    @endpoint(
        "GET",
        "/api/v1/sounds/{soundId}/videos",
        summary="Videos with a sound, newest first",
        query=PageQuery,
        reply=VideoPage,
        problems=(UnknownSound,),
    )
    async def sound_videos(self, call: Call[None]) -> VideoPage:
        sound = await self._sounds.describe(call.path_id("soundId"))
        after = decode_cursor(call.query.cursor, tuple[int, int])
        viewer = call.caller.user_id if call.caller else None
        hits = await self._search.by_sound(sound.id, after=after, limit=call.query.limit, viewer=viewer)
        views, missing = await self._lists.views(video_ids(hits), viewer)
        return VideoPage(
            videos=views,
            next_cursor=encode_cursor(hits.next_key) if hits.next_key else None,
            partial=hits.partial or missing,
        )

    @endpoint(
        "POST",
        "/api/v1/videos/{id}/sound",
        summary="Use the sound of a video",
        reply=SoundView,
        access=Access.USER,
        problems=(UnknownVideo, RemixRefused, SoundNotReady),
    )
    async def use_sound(self, call: Call[None]) -> SoundView:
        """The sound to name in `musicId`: the library sound the video was made with, else the video's own, which
        leaves the library when the video does. The same one however often it is asked for."""
        account = await self._access.actor(call)
        await self._limits.action(call.request, user_id=account.id)
        video = await self._remix.partner(VideoId(call.path_id("id")), by=account.id)
        if video.sound is not None:
            return sound_view(await self._sounds.get(int(video.sound.id)))
        assert video.manifest is not None
        if not video.manifest.has_audio:
            raise SoundNotReady("this video has no sound")
        owner = await self._accounts.get(video.owner_id)
        sound = await self._sounds.of_video(
            video.id,
            new_id=self._ids.next_id(),
            artist=owner.username,
            duration_ms=video.manifest.duration_ms,
            fingerprint=video.manifest.audio_fingerprint,
        )
        return sound_view(sound)

    @endpoint(
        "POST",
        "/api/v1/admin/sounds",
        summary="Add a sound to the library",
        body=NewSound,
        reply=SoundView,
        status=201,
        access=Access.OPERATOR,
    )
    async def add_sound(self, call: Call[NewSound]) -> SoundView:
        """Title, artist and licence; its file follows by PUT. Without one it can be named under videos, not mixed."""
        sound_id = self._ids.next_id()
        body = call.body
        await self._sounds.add(
            sound_id,
            title=clean_text(body.title).strip(),
            artist=clean_text(body.artist).strip(),
            duration_ms=body.duration_ms,
            licence=body.licence,
            act=_act(call, "add-sound", sound_id, msgspec.structs.asdict(body)),
        )
        return sound_view(await self._sounds.describe(sound_id))

    @endpoint(
        "PUT",
        "/api/v1/admin/sounds/{soundId}/file",
        summary="Send the file of a sound",
        body_type="application/octet-stream",
        reply=SoundView,
        status=202,
        access=Access.OPERATOR,
        problems=(UnknownSound, FileTooLarge, RefusedInput, StateConflict),
    )
    async def put_sound_file(self, call: Call[None]) -> SoundView:
        """MP3, WAV, FLAC, Ogg, M4A, or a video whose sound is meant. A worker prepares it: follow `state`. Sent again,
        the new file takes the old one's place when it is ready."""
        sound_id = call.path_id("soundId")
        body = call.request.content.iter_chunked(256 * 1024)
        size = call.request.content_length
        act = _act(call, "put-sound-file", sound_id, {"bytes": size})
        return sound_view(await self._intake.receive(sound_id, body, size=size, act=act))


def _act(call: Call[Any], action: str, sound_id: int, detail: dict[str, Any]) -> Act:
    return act_of(call, action, f"sound:{sound_id}", detail)


_AUDIO_HEADERS = {
    "Content-Type": "audio/mp4",
    "Cache-Control": "public, max-age=3600",
    "Accept-Ranges": "bytes",
    "X-Content-Type-Options": "nosniff",
}
