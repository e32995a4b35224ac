"""GET and HEAD under /videos/: the object store behind the rules of publication."""

from __future__ import annotations

import hashlib
from typing import Any

from aiohttp import web

from foundation.errors import Forbidden, Unavailable
from foundation.http.endpoint import Call, Header, endpoint
from foundation.ids import ID_IN_PATH, VideoId
from foundation.stores.objects import ObjectStore
from foundation.tokens.media import split
from origin.errors import UnknownVideo
from origin.lifecycle.media_access import MediaAccess
from origin.lifecycle.object_keys import captions_prefix, revision_prefix
from origin.lifecycle.states import is_open
from origin.lifecycle.video import Video, rooted
from origin.lifecycle.video_store import VideoStore
from origin.media.answers import caption_labels, labels, matches
from origin.media.relay import pass_on

_FOLDER = "/videos/{region:[a-z0-9-]{1,32}}/{id:" + ID_IN_PATH + "}"
_FILE = "{file:[A-Za-z0-9][A-Za-z0-9._-]{0,80}}"
_PINNED = _FOLDER + "/r{revision:[0-9]{1,9}}/" + _FILE
_CURRENT = _FOLDER + "/" + _FILE
_CAPTIONS = _FOLDER + "/captions/" + _FILE
_TOKEN = "/t/{token:[A-Za-z0-9._~-]{1,80}}"  # noqa: S105 - a path pattern
_AS_MEDIA: dict[str, Any] = {
    "reply_type": "*/*",
    "problems": (UnknownVideo, Forbidden),
    "also": {206: "the range asked for", 304: "as you have it", 416: "the file is shorter than that"},
    "headers": (
        Header(name="Range", description="bytes=FIRST-LAST"),
        Header(name="If-None-Match", description="ETag you hold"),
        Header(name="If-Range", description="ETag the range is of"),
    ),
    "reply_headers": (
        Header(name="ETag", description="strong"),
        Header(name="Cache-Control", description="immutable under a revision", required=True),
        Header(name="Cache-Groups", description="tags to purge by", required=True),
        Header(name="Accept-Ranges", description="bytes"),
    ),
}


class MediaRoutes:
    def __init__(self, *, videos: VideoStore, objects: ObjectStore, access: MediaAccess) -> None:
        self._videos = videos
        self._objects = objects
        self._access = access

    @endpoint("GET", _PINNED, summary="A file of one revision", reply="bytes", tag="media", **_AS_MEDIA)
    async def pinned(self, call: Call[None]) -> web.StreamResponse:
        """Immutable. Ranges, conditions and HEAD as in RFC 9110; a video that is not published answers 404."""
        return await self._pinned(call)

    async def _pinned(self, call: Call[None]) -> web.StreamResponse:
        video = await self._published(call)
        assert video.ready_revision is not None
        revision, file = int(call.path("revision")), call.path("file")
        if revision > video.ready_revision:
            raise UnknownVideo("nothing is published here")
        return await self._serve(call.request, video, revision=revision, file=file, pinned=True)

    @endpoint("GET", _CURRENT, summary="A file of the current revision", reply="bytes", tag="media", **_AS_MEDIA)
    async def current(self, call: Call[None]) -> web.StreamResponse:
        """master.m3u8, {rung}.m3u8 (their lines name the revision's files), poster.webp and so on."""
        return await self._current(call)

    async def _current(self, call: Call[None]) -> web.StreamResponse:
        video = await self._published(call)
        assert video.ready_revision is not None
        file = call.path("file")
        if file.endswith(".m3u8"):
            return await self._playlist(call.request, video, file)
        return await self._serve(call.request, video, revision=video.ready_revision, file=file, pinned=False)

    @endpoint(
        "HEAD", _PINNED, summary="A file of one revision, headers only", reply="headers", tag="media", **_AS_MEDIA
    )
    async def pinned_head(self, call: Call[None]) -> web.StreamResponse:
        return await self._pinned(call)

    @endpoint(
        "HEAD",
        _CURRENT,
        summary="A file of the current revision, headers only",
        reply="headers",
        tag="media",
        **_AS_MEDIA,
    )
    async def current_head(self, call: Call[None]) -> web.StreamResponse:
        return await self._current(call)

    @endpoint(
        "GET", _TOKEN + _PINNED, summary="A file, opened by a media token", reply="bytes", tag="media", **_AS_MEDIA
    )
    async def token_pinned(self, call: Call[None]) -> web.StreamResponse:
        return await self._pinned(call)

    @endpoint(
        "GET",
        _TOKEN + _CURRENT,
        summary="A current file, opened by a media token",
        reply="bytes",
        tag="media",
        **_AS_MEDIA,
    )
    async def token_current(self, call: Call[None]) -> web.StreamResponse:
        return await self._current(call)

    @endpoint("GET", _CAPTIONS, summary="Captions", reply="WebVTT", tag="media", **_AS_MEDIA)
    async def caption_file(self, call: Call[None]) -> web.StreamResponse:
        """Immutable; gone once the creator replaces or removes them."""
        return await self._captions(call)

    @endpoint("HEAD", _CAPTIONS, summary="Captions, headers only", reply="headers", tag="media", **_AS_MEDIA)
    async def caption_file_head(self, call: Call[None]) -> web.StreamResponse:
        return await self._captions(call)

    @endpoint(
        "GET", _TOKEN + _CAPTIONS, summary="Captions, opened by a media token", reply="WebVTT", tag="media", **_AS_MEDIA
    )
    async def token_caption_file(self, call: Call[None]) -> web.StreamResponse:
        return await self._captions(call)

    async def _captions(self, call: Call[None]) -> web.StreamResponse:
        video, file = await self._published(call), call.path("file")
        if not any(caption.file == file for caption in video.captions):
            raise UnknownVideo("this video has no such captions")
        headers = caption_labels(video, file=file)
        return await self._send(call.request, captions_prefix(video.id) + file, headers)

    async def _published(self, call: Call[None]) -> Video:
        """The video behind the path, if it is out and the asker may have its bytes. Raises UnknownVideo."""
        video = await self._videos.find(VideoId(call.path_id("id")))
        if video is None or not video.served:  # the region in the path is the PoP's, not the upload's
            raise UnknownVideo("nothing is published here")
        pop = call.caller is not None and call.caller.service  # it has checked its viewer itself
        if not is_open(video.visibility) and not pop and not self._access.opens(split(call.request.path)):
            raise UnknownVideo("nothing is published here")  # 404, not 403: its existence is private too
        return video

    async def _playlist(self, request: web.Request, video: Video, file: str) -> web.StreamResponse:
        text = await self._objects.get_bytes(revision_prefix(video.id, video.ready_revision or 0) + file)
        if text is None:
            raise UnknownVideo(f"this video has no {file}")
        body = rooted(text.decode(), f"r{video.ready_revision}/").encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {**labels(video, file=file, pinned=False), "ETag": etag}
        if matches(request.headers.get("If-None-Match"), etag):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers)

    async def _serve(
        self, request: web.Request, video: Video, *, revision: int, file: str, pinned: bool
    ) -> web.StreamResponse:
        key = revision_prefix(video.id, revision) + file
        return await self._send(request, key, labels(video, file=file, pinned=pinned))

    async def _send(self, request: web.Request, key: str, headers: dict[str, str]) -> web.StreamResponse:
        if request.method == "HEAD":
            return await self._head(key, headers)
        async with self._objects.open(key, headers=await self._conditions(request, key)) as body:
            if body.status == 404:
                raise UnknownVideo(f"this video has no {key.rpartition('/')[2]}")
            if body.status not in (200, 206, 304, 416):
                raise Unavailable("the object store gave no usable answer", retry_after_s=1)
            return await pass_on(request, body, headers)

    async def _head(self, key: str, headers: dict[str, str]) -> web.StreamResponse:
        info = await self._objects.head(key)
        if info is None:
            raise UnknownVideo("nothing is published here")
        return web.Response(headers={**headers, "ETag": f'"{info.etag}"', "Content-Length": str(info.size)})

    async def _conditions(self, request: web.Request, key: str) -> dict[str, str]:
        """Headers for the store. It does not know If-Range: we compare, and drop the Range when it does not hold."""
        conditions = {name: request.headers[name] for name in ("If-None-Match", "Range") if name in request.headers}
        if_range = request.headers.get("If-Range")
        if if_range is not None and "Range" in conditions:
            info = await self._objects.head(key)
            if info is None or if_range != f'"{info.etag}"':
                del conditions["Range"]
        return conditions
