"""Routes of people: follow, block, mute, lists, notifications, and a user's videos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from foundation.http.endpoint import Access, Call, endpoint
from foundation.ids import IdText, UserId, VideoId
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family
from foundation.wire import Wire
from foundation.wire.catalogue import Creator
from origin.accounts.access import AccessStore
from origin.accounts.account_store import Account, AccountStore
from origin.accounts.rules import PERSON_BY_ID
from origin.errors import Blocked, QuotaExceeded, UnknownUser, Yourself
from origin.lifecycle.video_lists import VideoLists, VideoPage
from origin.limits import Limits
from origin.pages import PageQuery, decode_cursor, encode_cursor
from origin.social.social_store import Edge, SocialStore, edge_cursor


class FollowReply(Wire, frozen=True, kw_only=True):
    following: bool
    requested: bool = False
    """A private account has to say yes first."""


class PeoplePage(Wire, frozen=True, kw_only=True):
    users: tuple[Creator, ...]
    next_cursor: str | None = None


class RestrictionView(Wire, frozen=True, kw_only=True):
    user: Creator
    kind: str


class Restrictions(Wire, frozen=True, kw_only=True):
    restrictions: tuple[RestrictionView, ...]


class NotificationView(Wire, frozen=True, kw_only=True):
    id: str
    kind: str
    payload: msgspec.Raw
    created_at_ms: int
    read: bool


class NotificationPage(Wire, frozen=True, kw_only=True):
    notifications: tuple[NotificationView, ...]
    next_cursor: str | None = None


class ReadBody(Wire, frozen=True, kw_only=True):
    up_to: IdText


class SocialRoutes:
    def __init__(
        self,
        *,
        social: SocialStore,
        accounts: AccountStore,
        access: AccessStore,
        lists: VideoLists,
        limits: Limits,
        shards: Shards,
    ) -> None:
        self._social = social
        self._accounts = accounts
        self._access = access
        self._lists = lists
        self._limits = limits
        self._shards = shards

    @endpoint(
        "POST",
        "/api/v1/users/{userId}/follow",
        summary="Follow",
        reply=FollowReply,
        access=Access.USER,
        problems=(UnknownUser, Yourself, Blocked, QuotaExceeded),
    )
    async def follow(self, call: Call[None]) -> FollowReply:
        """Strongly consistent and idempotent. A private account gets a request instead."""
        account, other = await self._two(call)
        await self._access.refuse_blocked(account.id, other.id)
        if not await self._social.is_following(account.id, other.id):
            await self._limits.daily(call.request, what="follows", user_id=account.id, tier=account.tier)
            await self._social.follow(account.id, other.id, accepted=not other.private)
        relation = await self._access.relation(account.id, other.id)
        return FollowReply(following=relation.following, requested=not relation.following)

    @endpoint(
        "DELETE",
        "/api/v1/users/{userId}/follow",
        summary="Unfollow",
        reply=FollowReply,
        access=Access.USER,
        problems=(UnknownUser, Yourself),
    )
    async def unfollow(self, call: Call[None]) -> FollowReply:
        account, other = await self._two(call)
        await self._social.unfollow(account.id, other.id)
        return FollowReply(following=False)

    @endpoint(
        "POST",
        "/api/v1/users/{userId}/follow/accept",
        summary="Accept the follow request of a user",
        status=204,
        access=Access.USER,
        problems=(UnknownUser, Yourself),
    )
    async def accept(self, call: Call[None]) -> None:
        account, other = await self._two(call)
        if not await self._social.accept(other.id, account.id):
            raise UnknownUser(f"{other.username} has not asked to follow you")

    @endpoint(
        "DELETE",
        "/api/v1/users/{userId}/follower",
        summary="Decline a follow request, or remove a follower",
        status=204,
        access=Access.USER,
        problems=(UnknownUser, Yourself),
    )
    async def remove_follower(self, call: Call[None]) -> None:
        account, other = await self._two(call)
        await self._social.unfollow(other.id, account.id)

    @endpoint(
        "POST",
        "/api/v1/users/{userId}/block",
        summary="Block",
        status=204,
        access=Access.USER,
        problems=(UnknownUser, Yourself),
    )
    async def block(self, call: Call[None]) -> None:
        """Ends following both ways; neither sees or reaches the other any more."""
        await self._restrict(call, kind="block", on=True)

    @endpoint(
        "DELETE",
        "/api/v1/users/{userId}/block",
        summary="Unblock",
        status=204,
        access=Access.USER,
        problems=(UnknownUser, Yourself),
    )
    async def unblock(self, call: Call[None]) -> None:
        await self._restrict(call, kind="block", on=False)

    @endpoint(
        "POST",
        "/api/v1/users/{userId}/mute",
        summary="Mute",
        status=204,
        access=Access.USER,
        problems=(UnknownUser, Yourself),
    )
    async def mute(self, call: Call[None]) -> None:
        """What they post is no longer shown to you; they do not learn of it."""
        await self._restrict(call, kind="mute", on=True)

    @endpoint(
        "DELETE",
        "/api/v1/users/{userId}/mute",
        summary="Unmute",
        status=204,
        access=Access.USER,
        problems=(UnknownUser, Yourself),
    )
    async def unmute(self, call: Call[None]) -> None:
        await self._restrict(call, kind="mute", on=False)

    async def _restrict(self, call: Call[None], *, kind: str, on: bool) -> None:
        account, other = await self._two(call)
        await self._social.restrict(account.id, other.id, kind=kind, on=on)

    @endpoint(
        "GET",
        "/api/v1/users/me/restrictions",
        summary="Whom I blocked or muted",
        reply=Restrictions,
        access=Access.USER,
    )
    async def restrictions(self, call: Call[None]) -> Restrictions:
        found = await self._social.restrictions(call.user())
        people = await self._accounts.get_many({user_id for user_id, _ in found})
        return Restrictions(
            restrictions=tuple(
                RestrictionView(user=people[user_id].creator(), kind=kind)
                for user_id, kind in found
                if user_id in people
            )
        )

    @endpoint(
        "GET",
        "/api/v1/users/{userId}/followers",
        summary="Followers, newest first",
        query=PageQuery,
        reply=PeoplePage,
        problems=(UnknownUser,),
        path_schemas={"userId": PERSON_BY_ID},
    )
    async def followers(self, call: Call[None]) -> PeoplePage:
        account = await self._admitted(call)
        before = decode_cursor(call.query.cursor, tuple[int, int])
        limit = call.query.limit
        return await self._people(await self._social.followers(account.id, before=before, limit=limit + 1), limit)

    @endpoint(
        "GET",
        "/api/v1/users/{userId}/following",
        summary="Whom the user follows, newest first",
        query=PageQuery,
        reply=PeoplePage,
        problems=(UnknownUser,),
        path_schemas={"userId": PERSON_BY_ID},
    )
    async def following(self, call: Call[None]) -> PeoplePage:
        account = await self._admitted(call)
        before = decode_cursor(call.query.cursor, tuple[int, int])
        limit = call.query.limit
        return await self._people(await self._social.following(account.id, before=before, limit=limit + 1), limit)

    @endpoint(
        "GET",
        "/api/v1/users/{userId}/videos",
        summary="A user's videos, newest first",
        query=PageQuery,
        reply=VideoPage,
        problems=(UnknownUser,),
        path_schemas={"userId": PERSON_BY_ID},
    )
    async def videos(self, call: Call[None]) -> VideoPage:
        """The owner also sees what is private, unlisted, scheduled, being processed or failed."""
        viewer, owner = await self._viewer_and_owner(call)
        own = viewer == owner.id
        relation = await self._access.relation(viewer, owner.id)
        if relation.blocked:
            raise UnknownUser("there is no such user")
        visible = ["public", "followers"] if relation.following else ["public"]
        query: PageQuery = call.query
        async with self._shards.read(Family.USER, owner.id) as connection:
            rows = await connection.fetch(
                """select video_id from user_videos where user_id = $1 and video_id < $2 and state <> 'deleted'
                   and ($3 or (state = 'ready' and visibility = any($4))) order by video_id desc limit $5""",
                owner.id,
                decode_cursor(query.cursor, int) or 2**63 - 1,
                own,
                visible,
                query.limit + 1,
            )
        return await self._video_page([VideoId(row["video_id"]) for row in rows], query.limit, viewer, owner.id)

    @endpoint(
        "GET", "/api/v1/users/me/likes", summary="Videos I liked", query=PageQuery, reply=VideoPage, access=Access.USER
    )
    async def my_likes(self, call: Call[None]) -> VideoPage:
        return await self._engaged(call, "like")

    @endpoint(
        "GET",
        "/api/v1/users/me/bookmarks",
        summary="Videos I bookmarked",
        query=PageQuery,
        reply=VideoPage,
        access=Access.USER,
    )
    async def my_bookmarks(self, call: Call[None]) -> VideoPage:
        return await self._engaged(call, "bookmark")

    @endpoint(
        "GET",
        "/api/v1/notifications",
        summary="My notifications, newest first",
        query=PageQuery,
        reply=NotificationPage,
        access=Access.USER,
    )
    async def notifications(self, call: Call[None]) -> NotificationPage:
        query: PageQuery = call.query
        found = await self._social.notifications(
            call.user(), before=decode_cursor(query.cursor, int) or 2**63 - 1, limit=query.limit + 1
        )
        shown = found[: query.limit]
        return NotificationPage(
            notifications=tuple(
                NotificationView(
                    id=str(note.id),
                    kind=note.kind,
                    payload=msgspec.Raw(note.payload.encode()),
                    created_at_ms=int(note.created_at.timestamp() * 1000),
                    read=note.read_at is not None,
                )
                for note in shown
            ),
            next_cursor=encode_cursor(shown[-1].id) if len(found) > query.limit else None,
        )

    @endpoint(
        "POST", "/api/v1/notifications/read", summary="Mark as read", body=ReadBody, status=204, access=Access.USER
    )
    async def mark_read(self, call: Call[ReadBody]) -> None:
        await self._social.mark_read(call.user(), up_to=int(call.body.up_to))

    async def _engaged(self, call: Call[None], kind: str) -> VideoPage:
        user_id = call.user()
        query: PageQuery = call.query
        key = decode_cursor(query.cursor, int) or 2**63 - 1
        async with self._shards.read(Family.USER, user_id) as connection:
            rows = await connection.fetch(
                """select video_id from user_engagements where user_id = $1 and kind = $2 and video_id < $3
                   order by video_id desc limit $4""",
                user_id,
                kind,
                key,
                query.limit + 1,
            )
        return await self._video_page([VideoId(row["video_id"]) for row in rows], query.limit, user_id, None)

    async def _video_page(
        self, ids: list[VideoId], limit: int, viewer: UserId | None, owner: UserId | None
    ) -> VideoPage:
        views, missing = await self._lists.views(ids[:limit], viewer, of_owner=owner)
        return VideoPage(
            videos=views, next_cursor=encode_cursor(int(ids[limit - 1])) if len(ids) > limit else None, partial=missing
        )

    async def _people(self, found: Sequence[Edge], limit: int) -> PeoplePage:
        shown = found[:limit]
        people = await self._accounts.get_many({edge.user_id for edge in shown})
        return PeoplePage(
            users=tuple(people[edge.user_id].creator() for edge in shown if edge.user_id in people),
            next_cursor=encode_cursor(edge_cursor(shown[-1])) if len(found) > limit else None,
        )

    async def _two(self, call: Call[Any]) -> tuple[Account, Account]:
        account = await self._access.actor(call)
        await self._limits.action(call.request, user_id=account.id)
        other = await self._accounts.get(UserId(call.path_id("userId")))
        if other.id == account.id:
            raise Yourself("this is yourself")
        return account, other

    async def _viewer_and_owner(self, call: Call[Any]) -> tuple[UserId | None, Account]:
        viewer = call.caller.user_id if call.caller else None
        text = call.path("userId")
        owner = await self._accounts.get(call.user() if text == "me" else UserId(call.path_id("userId")))
        return viewer, owner

    async def _admitted(self, call: Call[Any]) -> Account:
        """The account whose lists the viewer may read: a private one shows them to followers only."""
        viewer, owner = await self._viewer_and_owner(call)
        relation = await self._access.relation(viewer, owner.id)
        if relation.blocked or (owner.private and not relation.same and not relation.following):
            raise UnknownUser("this account does not show its lists to you")
        return owner
