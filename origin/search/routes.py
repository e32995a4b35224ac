"""Routes of search, hashtags and trending hashtags."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from foundation.errors import BadInput
from foundation.http.endpoint import Call, endpoint
from foundation.ids import UserId
from foundation.wire import Wire
from origin.accounts.access import AccessStore
from origin.accounts.account_store import AccountStore
from origin.accounts.messages import UserView
from origin.accounts.routes import view
from origin.lifecycle.video import VideoView
from origin.lifecycle.video_lists import VideoLists, VideoPage
from origin.pages import Cursor, PageQuery, decode_cursor, encode_cursor
from origin.search.search_store import Hits, SearchStore, user_ids, video_ids
from origin.text import clean_text

_SPACE = re.compile(r"\s+")
_TAG = re.compile(r"^\w{1,50}$")


class SearchQuery(Wire, frozen=True, kw_only=True):
    q: Annotated[str, Meta(min_length=1, max_length=100)]
    type: Literal["videos", "users"] = "videos"
    limit: Annotated[int, Meta(ge=1, le=50)] = 20
    cursor: Cursor = ""


class SearchKey(msgspec.Struct, frozen=True, array_like=True):
    """Sort key of what was found last: class, place within it, id."""

    level: Annotated[int, Meta(ge=0, le=3)]
    place: Annotated[int, Meta(ge=0, lt=2**31)]
    id: Annotated[int, Meta(ge=0, le=2**63 - 1)]


class SearchPage(Wire, frozen=True, kw_only=True):
    videos: tuple[VideoView, ...] = ()
    users: tuple[UserView, ...] = ()
    next_cursor: str | None = None
    partial: bool = False
    """Part of the database did not answer: there may be more."""


class SuggestQuery(Wire, frozen=True, kw_only=True):
    q: Annotated[str, Meta(min_length=1, max_length=50)]
    limit: Annotated[int, Meta(ge=1, le=20)] = 10


class Suggestions(Wire, frozen=True, kw_only=True):
    suggestions: tuple[str, ...]
    """"#tag" and "@username"."""


class TrendingQuery(Wire, frozen=True, kw_only=True):
    hours: Annotated[int, Meta(ge=1, le=168)] = 24
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class TrendingTagView(Wire, frozen=True, kw_only=True):
    tag: str
    view_count: int
    video_count: int


class TrendingTags(Wire, frozen=True, kw_only=True):
    hashtags: tuple[TrendingTagView, ...]


class SearchRoutes:
    def __init__(
        self,
        *,
        search: SearchStore,
        lists: VideoLists,
        accounts: AccountStore,
        access: AccessStore,
    ) -> None:
        self._search = search
        self._lists = lists
        self._accounts = accounts
        self._access = access

    @endpoint(
        "GET", "/api/v1/search", summary="Search videos or users, forgiving typos", query=SearchQuery, reply=SearchPage
    )
    async def search(self, call: Call[None]) -> SearchPage:
        query: SearchQuery = call.query
        text = _words(query.q)
        key = decode_cursor(query.cursor, SearchKey)
        after = (key.level, key.place, key.id) if key is not None else None
        if query.type == "users":
            return await self._users(call, text.lstrip("@"), after, query.limit)
        page = await self._page(
            call, await self._search.videos(text, after=after, limit=query.limit, viewer=_viewer(call))
        )
        return SearchPage(videos=page.videos, next_cursor=page.next_cursor, partial=page.partial)

    async def _users(self, call: Call[None], text: str, after: tuple[int, ...] | None, limit: int) -> SearchPage:
        viewer = _viewer(call)
        hits = await self._search.users(text, after=after, limit=limit, viewer=viewer)
        hidden = await self._access.restricted(viewer) if viewer is not None else frozenset()
        people = await self._accounts.get_many(set(user_ids(hits)))
        return SearchPage(
            users=tuple(
                view(people[user_id], own=False, followed=False)
                for user_id in user_ids(hits)
                if user_id in people and user_id not in hidden
            ),
            next_cursor=encode_cursor(hits.next_key) if hits.next_key else None,
            partial=hits.partial,
        )

    @endpoint("GET", "/api/v1/search/suggest", summary="Completions of a prefix", query=SuggestQuery, reply=Suggestions)
    async def suggest(self, call: Call[None]) -> Suggestions:
        prefix = _words(call.query.q).lower().lstrip("#@")
        if not prefix:
            return Suggestions(suggestions=())
        found = await self._search.suggest(prefix, limit=call.query.limit, viewer=_viewer(call))
        return Suggestions(suggestions=found)

    @endpoint(
        "GET",
        "/api/v1/hashtag/{hashtag}/videos",
        summary="Videos of a hashtag, newest first",
        query=PageQuery,
        reply=VideoPage,
        path_schemas={"hashtag": {"pattern": r"^#*\w{1,50}$"}},
    )
    async def hashtag(self, call: Call[None]) -> VideoPage:
        tag = call.path("hashtag").lstrip("#").lower()
        if not _TAG.match(tag):
            raise BadInput("hashtag: letters, digits and '_', at most 50")
        after = decode_cursor(call.query.cursor, tuple[int, int])
        return await self._page(
            call, await self._search.by_hashtag(tag, after=after, limit=call.query.limit, viewer=_viewer(call))
        )

    @endpoint(
        "GET", "/api/v1/trending/hashtags", summary="Most watched hashtags", query=TrendingQuery, reply=TrendingTags
    )
    async def trending(self, call: Call[None]) -> TrendingTags:
        found = await self._search.trending_hashtags(
            hours=call.query.hours, limit=call.query.limit, viewer=_viewer(call)
        )
        return TrendingTags(
            hashtags=tuple(
                TrendingTagView(tag=entry.tag, view_count=entry.views, video_count=entry.videos) for entry in found
            )
        )

    async def _page(self, call: Call[None], hits: Hits) -> VideoPage:
        views, missing = await self._lists.views(video_ids(hits), _viewer(call))
        return VideoPage(
            videos=views,
            next_cursor=encode_cursor(hits.next_key) if hits.next_key else None,
            partial=hits.partial or missing,
        )


def _viewer(call: Call[None]) -> UserId | None:
    return call.caller.user_id if call.caller else None


def _words(text: str) -> str:
    return _SPACE.sub(" ", clean_text(text)).strip()
