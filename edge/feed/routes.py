"""HTTP of the feed: parse, call, render."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from edge.feed.exposure import ExposureReceipt
from edge.feed.ports import Viewer
from edge.feed.service import Feed
from foundation.errors import BadInput, NotFound
from foundation.http.endpoint import Access, Call, endpoint, render
from foundation.ids import IdText, parse_id
from foundation.wire import Wire
from foundation.wire.events import WatchReport
from foundation.wire.feed import FeedPage

DEVICE_COOKIE = "popreel_device"
DEVICE_HEADER = "X-Device-Id"
_COOKIE_S = 400 * 86_400
_CURSOR = Meta(max_length=96, description="nextCursor of the page before", extra_json_schema={"format": "cursor"})


class FeedQuery(msgspec.Struct, frozen=True, kw_only=True):
    count: Annotated[int, Meta(ge=1, le=50, description="items wanted")] = 20
    cursor: Annotated[str, _CURSOR] | None = None


class WatchBatch(Wire, frozen=True, kw_only=True):
    events: Annotated[tuple[WatchReport, ...], Meta(min_length=1, max_length=500)]


class WatchAccepted(Wire, frozen=True, kw_only=True):
    accepted: int
    event_ids: tuple[str, ...]
    """In the order of the reports; resend with the same id after a lost answer."""


class Interests(Wire, frozen=True, kw_only=True):
    interests: Annotated[tuple[Annotated[str, Meta(max_length=100)], ...], Meta(max_length=50)]
    """Topics as hashtags, with or without '#'. An empty list forgets them."""


class _Nudge(Wire, frozen=True, kw_only=True, tag_field="action"):
    video_id: IdText


class More(_Nudge, frozen=True, kw_only=True, tag="more"):
    """Like the given video."""


class Less(_Nudge, frozen=True, kw_only=True, tag="less"):
    """Fewer like the given video."""


class NotInterested(_Nudge, frozen=True, kw_only=True, tag="not_interested"):
    """The same as less, stronger."""


class HideCreator(Wire, frozen=True, kw_only=True, tag_field="action", tag="hide_creator"):
    creator_id: IdText


class HideHashtag(Wire, frozen=True, kw_only=True, tag_field="action", tag="hide_hashtag"):
    hashtag: Annotated[str, Meta(min_length=1, max_length=100)]


class Reset(Wire, frozen=True, kw_only=True, tag_field="action", tag="reset"):
    """Forget the taste."""


FeedControl = More | Less | NotInterested | HideCreator | HideHashtag | Reset
"""One struct an action, so that the document says which member each needs."""


def _reports(raw: bytes) -> tuple[WatchReport, ...]:
    """One report or a batch; to either, a member of the other is an unknown one. Raises msgspec.DecodeError."""
    members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    if "events" not in members:
        return (msgspec.json.decode(raw, type=WatchReport),)
    try:
        return msgspec.json.decode(raw, type=WatchBatch).events
    except msgspec.ValidationError:
        if "videoId" not in members:
            raise
        return (msgspec.json.decode(raw, type=WatchReport),)


class FeedRoutes:
    """Anonymous viewers are devices: named by `X-Device-Id`, else by a cookie, else by a new cookie."""

    def __init__(self, feed: Feed, *, region: str) -> None:
        self._feed = feed
        self._region = region

    @endpoint(
        "GET", "/api/v1/feed", summary="The next items for this viewer", query=FeedQuery, reply=FeedPage, tag="feed"
    )
    async def feed(self, call: Call[None]) -> web.StreamResponse:
        """Items never repeat along a chain of cursors. Without a cursor a new session begins."""
        viewer, new_device = self._viewer(call)
        page = await self._feed.page(viewer, count=call.query.count, cursor=call.query.cursor)
        return _with_device(render(page), new_device, secure=call.request.secure)

    @endpoint(
        "GET",
        "/api/v1/feed/following",
        summary="Newest of followed creators",
        query=FeedQuery,
        reply=FeedPage,
        tag="feed",
    )
    async def following(self, call: Call[None]) -> web.StreamResponse:
        viewer, new_device = self._viewer(call)
        page = await self._feed.following_page(viewer, count=call.query.count, cursor=call.query.cursor)
        return _with_device(render(page), new_device, secure=call.request.secure)

    @endpoint(
        "POST",
        "/api/v1/analytics/watch",
        summary='Report one watch, or up to 500 as {"events": [...]}',
        body_described_by=(WatchReport, WatchBatch),
        decode=_reports,
        reply=WatchAccepted,
        status=202,
        tag="feed",
    )
    async def watch(self, call: Call[tuple[WatchReport, ...]]) -> web.StreamResponse:
        """Answered once the events are stored at this PoP; the next page reflects them."""
        viewer, new_device = self._viewer(call)
        event_ids = await self._feed.record(viewer, call.body)
        reply = WatchAccepted(accepted=len(event_ids), event_ids=tuple(event_ids))
        return _with_device(render(reply, status=202), new_device, secure=call.request.secure)

    @endpoint(
        "POST",
        "/api/v1/onboarding/interests",
        summary="Choose topics for the first pages",
        body=Interests,
        status=204,
        tag="feed",
    )
    async def interests(self, call: Call[Interests]) -> web.StreamResponse:
        viewer, new_device = self._viewer(call)
        await self._feed.interests(viewer, call.body.interests)
        return _with_device(web.Response(status=204), new_device, secure=call.request.secure)

    @endpoint(
        "GET",
        "/api/v1/feed/exposure/{video_id}",
        summary="What a new video of yours was granted at this PoP",
        reply=ExposureReceipt,
        access=Access.USER,
        problems=(NotFound,),
        tag="feed",
    )
    async def exposure(self, call: Call[None]) -> ExposureReceipt:
        """Its creator's to see."""
        viewer, _ = self._viewer(call)
        return await self._feed.receipt(viewer, call.path_id("video_id"))

    @endpoint(
        "POST", "/api/v1/feed/controls", summary="More, less, hide, reset", body=FeedControl, status=204, tag="feed"
    )
    async def controls(self, call: Call[FeedControl]) -> web.StreamResponse:
        viewer, new_device = self._viewer(call)
        match call.body:
            case Reset():
                await self._feed.reset(viewer)
            case HideCreator(creator_id=creator_id):
                await self._feed.hide_creator(viewer, parse_id(creator_id))
            case HideHashtag(hashtag=hashtag):
                await self._feed.hide_tag(viewer, hashtag)
            case More(video_id=video_id):
                await self._feed.nudge(viewer, parse_id(video_id), "more")
            case Less(video_id=video_id):
                await self._feed.nudge(viewer, parse_id(video_id), "less")
            case NotInterested(video_id=video_id):
                await self._feed.nudge(viewer, parse_id(video_id), "not_interested")
        return _with_device(web.Response(status=204), new_device, secure=call.request.secure)

    def _viewer(self, call: Call[Any]) -> tuple[Viewer, str | None]:
        """The viewer, and the device id to set as a cookie when it is new."""
        if call.caller is not None and call.caller.user_id is not None:
            user_id = str(call.caller.user_id)
            return Viewer(id=f"u:{user_id}", user_id=user_id, teen=call.caller.teen, region=self._region), None
        header = call.request.headers.get(DEVICE_HEADER)
        if header is not None:
            return Viewer(id=f"d:{_device(header)}", region=self._region), None
        cookie = _uuid_or_none(call.request.cookies.get(DEVICE_COOKIE, ""))
        new = None if cookie else str(uuid.uuid4())
        return Viewer(id=f"d:{cookie or new}", region=self._region, just_named=new is not None), new


def _device(text: str) -> str:
    found = _uuid_or_none(text)
    if found is None:
        raise BadInput(f"{DEVICE_HEADER} must be a UUID")
    return found


def _uuid_or_none(text: str) -> str | None:
    try:
        return str(uuid.UUID(text)) if 32 <= len(text) <= 38 else None
    except ValueError:
        return None


def _with_device(response: web.Response, device: str | None, *, secure: bool) -> web.Response:
    if device is not None:
        response.set_cookie(
            DEVICE_COOKIE, device, max_age=_COOKIE_S, path="/", httponly=True, samesite="Lax", secure=secure
        )
    return response
