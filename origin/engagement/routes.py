"""Routes of likes, bookmarks, shares and comments."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from foundation.errors import BadInput
from foundation.http.endpoint import Access, Call, Header, endpoint
from foundation.ids import CommentId, IdText, Snowflake, UserId, VideoId, parse_id
from foundation.wire import Wire
from foundation.wire.catalogue import Creator
from origin.accounts.access import AccessStore
from origin.accounts.account_store import Account, AccountStore
from origin.engagement.comment_store import Comment, CommentStore
from origin.engagement.engagement_store import EngagementStore
from origin.errors import Blocked, CommentsClosed, NotYours, QuotaExceeded, UnknownComment, UnknownVideo
from origin.lifecycle.media_access import MediaAccess
from origin.lifecycle.video import Video
from origin.lifecycle.video_store import VideoStore
from origin.limits import Limits
from origin.pages import PageQuery, decode_cursor, encode_cursor
from origin.text import VISIBLE, clean_text

_NEVER = frozenset[UserId]()
_SHARE_KEY = Header(
    name="Idempotency-Key",
    description="A share with the same key counts once",
    schema={"type": "string", "maxLength": 128},
)


class ShareBody(Wire, frozen=True, kw_only=True):
    channel: Literal["link", "message", "whatsapp", "facebook", "x", "embed", "other"] = "link"


class NewComment(Wire, frozen=True, kw_only=True):
    text: Annotated[str, Meta(min_length=1, max_length=500, extra_json_schema={"pattern": VISIBLE})]
    parent_id: IdText | None = None


class CommentView(Wire, frozen=True, kw_only=True):
    id: str
    user: Creator
    text: str
    parent_id: str | None
    like_count: int
    reply_count: int
    pinned: bool
    liked: bool
    created_at_ms: int


class CommentPage(Wire, frozen=True, kw_only=True):
    comments: tuple[CommentView, ...]
    next_cursor: str | None = None


class EngagementRoutes:
    def __init__(
        self,
        *,
        videos: VideoStore,
        accounts: AccountStore,
        access: AccessStore,
        media: MediaAccess,
        engagements: EngagementStore,
        comments: CommentStore,
        limits: Limits,
        ids: Snowflake,
    ) -> None:
        self._videos = videos
        self._accounts = accounts
        self._access = access
        self._media = media
        self._engagements = engagements
        self._comments = comments
        self._limits = limits
        self._ids = ids

    @endpoint(
        "POST",
        "/api/v1/videos/{id}/like",
        summary="Like",
        status=204,
        access=Access.USER,
        problems=(UnknownVideo, QuotaExceeded),
    )
    async def like(self, call: Call[None]) -> None:
        """Idempotent; liking twice counts once and uses the day's quota once."""
        await self._set(call, kind="like", on=True)

    @endpoint(
        "DELETE",
        "/api/v1/videos/{id}/like",
        summary="Take a like back",
        status=204,
        access=Access.USER,
        problems=(UnknownVideo,),
    )
    async def unlike(self, call: Call[None]) -> None:
        await self._set(call, kind="like", on=False)

    @endpoint(
        "POST",
        "/api/v1/videos/{id}/bookmark",
        summary="Bookmark",
        status=204,
        access=Access.USER,
        problems=(UnknownVideo,),
    )
    async def bookmark(self, call: Call[None]) -> None:
        await self._set(call, kind="bookmark", on=True)

    @endpoint(
        "DELETE",
        "/api/v1/videos/{id}/bookmark",
        summary="Remove a bookmark",
        status=204,
        access=Access.USER,
        problems=(UnknownVideo,),
    )
    async def unbookmark(self, call: Call[None]) -> None:
        await self._set(call, kind="bookmark", on=False)

    async def _set(self, call: Call[Any], *, kind: str, on: bool) -> None:
        account, video = await self._actor_and_video(call, must_see=on)
        if kind == "like" and on:
            if await self._engagements.has(video.id, account.id, kind=kind):
                return
            await self._limits.daily(call.request, what="likes", user_id=account.id, tier=account.tier)
        await self._engagements.set(video.id, account.id, kind=kind, on=on, owner_id=video.owner_id)

    @endpoint(
        "POST",
        "/api/v1/videos/{id}/share",
        summary="Count a share",
        body=ShareBody,
        body_optional=True,
        status=204,
        access=Access.USER,
        headers=(_SHARE_KEY,),
        problems=(UnknownVideo, Blocked),
    )
    async def share(self, call: Call[ShareBody]) -> None:
        """Body optional. An `Idempotency-Key` makes a retry count once."""
        account, video = await self._actor_and_video(call, must_see=True)
        key = call.request.headers.get("Idempotency-Key", "")
        await self._engagements.share(
            self._ids.next_id(), video.id, account.id, channel=call.body.channel, key=key[:128]
        )

    @endpoint(
        "POST",
        "/api/v1/videos/{id}/comment",
        summary="Comment or reply",
        body=NewComment,
        reply=CommentView,
        status=201,
        access=Access.USER,
        problems=(UnknownVideo, UnknownComment, Blocked, CommentsClosed, QuotaExceeded),
    )
    async def comment(self, call: Call[NewComment]) -> CommentView:
        account, video = await self._actor_and_video(call, must_see=True)
        if not video.comments_open and account.id != video.owner_id:
            raise CommentsClosed("the creator has closed the comments of this video")
        text = clean_text(call.body.text).strip()
        if not text:
            raise BadInput("text: write something")
        parent = CommentId(parse_id(call.body.parent_id)) if call.body.parent_id else None
        if parent is not None:
            await self._refuse_blocked_by_authors(video, parent, account)
        async with self._limits.counted(call.request, what="comments", user_id=account.id, tier=account.tier):
            comment = await self._comments.add(
                CommentId(self._ids.next_id()),
                video.id,
                account.id,
                body=text,
                parent_id=parent,
                owner_id=video.owner_id,
            )
        return _view(comment, account)

    @endpoint(
        "GET",
        "/api/v1/videos/{id}/comments",
        summary="Comments, pinned first, then newest",
        query=PageQuery,
        reply=CommentPage,
        problems=(UnknownVideo,),
    )
    async def comments(self, call: Call[None]) -> CommentPage:
        viewer, video = await self._viewer_and_video(call)
        query: PageQuery = call.query
        found = await self._comments.page(
            video.id,
            viewer,
            before=decode_cursor(query.cursor, tuple[bool, int]),
            limit=query.limit + 1,
            without=await self._hidden_from(viewer),
        )
        return await self._page(found, query.limit, lambda last: encode_cursor((last.pinned, last.id)))

    @endpoint(
        "GET",
        "/api/v1/videos/{id}/comments/{commentId}/replies",
        summary="Replies, oldest first",
        query=PageQuery,
        reply=CommentPage,
        problems=(UnknownVideo,),
    )
    async def replies(self, call: Call[None]) -> CommentPage:
        viewer, video = await self._viewer_and_video(call)
        query: PageQuery = call.query
        found = await self._comments.replies(
            video.id,
            CommentId(call.path_id("commentId")),
            viewer,
            after=decode_cursor(query.cursor, int) or 0,
            limit=query.limit + 1,
            without=await self._hidden_from(viewer),
        )
        return await self._page(found, query.limit, lambda last: encode_cursor(int(last.id)))

    @endpoint(
        "DELETE",
        "/api/v1/videos/{id}/comments/{commentId}",
        summary="Delete a comment",
        status=204,
        access=Access.USER,
        problems=(UnknownVideo, UnknownComment, NotYours),
    )
    async def delete_comment(self, call: Call[None]) -> None:
        account, video = await self._actor_and_video(call, must_see=False)
        await self._comments.remove(
            video.id, CommentId(call.path_id("commentId")), account.id, video_owner=video.owner_id
        )

    @endpoint(
        "POST",
        "/api/v1/videos/{id}/comments/{commentId}/like",
        summary="Like a comment",
        status=204,
        access=Access.USER,
        problems=(UnknownVideo, UnknownComment),
    )
    async def like_comment(self, call: Call[None]) -> None:
        account, video = await self._actor_and_video(call, must_see=True)
        comment_id = CommentId(call.path_id("commentId"))
        await self._refuse_blocked_by_authors(video, comment_id, account)
        await self._comments.like(video.id, comment_id, account.id, on=True)

    @endpoint(
        "DELETE",
        "/api/v1/videos/{id}/comments/{commentId}/like",
        summary="Take the like of a comment back",
        status=204,
        access=Access.USER,
        problems=(UnknownVideo, UnknownComment),
    )
    async def unlike_comment(self, call: Call[None]) -> None:
        account, video = await self._actor_and_video(call, must_see=True)
        await self._comments.like(video.id, CommentId(call.path_id("commentId")), account.id, on=False)

    @endpoint(
        "POST",
        "/api/v1/videos/{id}/comments/{commentId}/pin",
        summary="Pin a comment (creator of the video)",
        status=204,
        access=Access.USER,
        problems=(UnknownVideo, UnknownComment, NotYours),
    )
    async def pin_comment(self, call: Call[None]) -> None:
        await self._pin(call, on=True)

    @endpoint(
        "DELETE",
        "/api/v1/videos/{id}/comments/{commentId}/pin",
        summary="Unpin a comment",
        status=204,
        access=Access.USER,
        problems=(UnknownVideo, UnknownComment, NotYours),
    )
    async def unpin_comment(self, call: Call[None]) -> None:
        await self._pin(call, on=False)

    async def _pin(self, call: Call[None], *, on: bool) -> None:
        account, video = await self._actor_and_video(call, must_see=False)
        if video.owner_id != account.id:
            raise NotYours("this video belongs to someone else")
        await self._comments.pin(video.id, CommentId(call.path_id("commentId")), on=on)

    async def _actor_and_video(self, call: Call[Any], *, must_see: bool) -> tuple[Account, Video]:
        account = await self._access.actor(call)
        await self._limits.action(call.request, user_id=account.id)
        video = await self._videos.get(VideoId(call.path_id("id")))
        if must_see:
            relation = await self._access.refuse_blocked(account.id, video.owner_id)
            if not video.served or not await self._media.may_see(video, account.id, relation):
                raise UnknownVideo(f"there is no video {video.id}")
        return account, video

    async def _refuse_blocked_by_authors(self, video: Video, comment_id: CommentId, account: Account) -> None:
        """A block holds under a third person's video too. Raises UnknownComment, Blocked."""
        for author in await self._comments.authors(video.id, comment_id):
            await self._access.refuse_blocked(account.id, author)

    async def _viewer_and_video(self, call: Call[Any]) -> tuple[UserId | None, Video]:
        viewer = call.caller.user_id if call.caller else None
        video = await self._videos.get(VideoId(call.path_id("id")))
        if not await self._media.may_see(video, viewer):
            raise UnknownVideo(f"there is no video {video.id}")
        return viewer, video

    async def _hidden_from(self, viewer: UserId | None) -> frozenset[UserId]:
        return await self._access.restricted(viewer) if viewer is not None else _NEVER

    async def _page(self, found: list[Comment], limit: int, cursor: Any) -> CommentPage:
        shown = found[:limit]
        authors = await self._accounts.get_many({comment.user_id for comment in shown})
        return CommentPage(
            comments=tuple(_view(comment, authors[comment.user_id]) for comment in shown if comment.user_id in authors),
            next_cursor=cursor(shown[-1]) if len(found) > limit else None,
        )


def _view(comment: Comment, author: Account) -> CommentView:
    return CommentView(
        id=str(comment.id),
        user=author.creator(),
        text=comment.body,
        parent_id=str(comment.parent_id) if comment.parent_id is not None else None,
        like_count=comment.likes,
        reply_count=comment.replies,
        pinned=comment.pinned,
        liked=comment.liked,
        created_at_ms=int(comment.created_at.timestamp() * 1000),
    )
