"""What a viewer did at the origin through this PoP reaches the feed at once, before any log comes round.

A like teaches the taste (the watch report may follow seconds later or never); a follow or block makes the kept
relations stale, so that the next page knows.
"""

from __future__ import annotations

import re
from typing import Protocol

from aiohttp import web

from edge.control.user_context import RemoteUserContext
from edge.feed.ports import Viewer
from foundation.errors import PopreelError
from foundation.http.endpoint import Access
from foundation.http.guard import TokenGuard

_VIDEO_ACTION = re.compile(r"^/api/v1/videos/(\d{1,19})/(like|share|bookmark)$")
_SOCIAL_ACTION = re.compile(r"^/api/v1/users/[^/]+/(follow|block|mute)$")


class TasteOfActions(Protocol):
    """The part of the feed that learns from an action."""

    async def acted(self, viewer: Viewer, video_id: int, action: str, *, undone: bool) -> None:
        """action: "like", "share" or "bookmark"; `undone` when it was taken back."""
        ...


class ViewerActions:
    """An `AfterForward` hook of the proxy: never raises, the origin has the truth already."""

    def __init__(self, *, feed: TasteOfActions, users: RemoteUserContext, guard: TokenGuard, region: str) -> None:
        self._feed = feed
        self._users = users
        self._guard = guard
        self._region = region

    async def __call__(self, request: web.Request, status: int) -> None:
        if request.method not in ("POST", "PUT", "DELETE"):
            return
        video = _VIDEO_ACTION.match(request.path)
        social = _SOCIAL_ACTION.match(request.path)
        if video is None and social is None:
            return
        viewer = await self._viewer(request)
        if viewer is None or viewer.user_id is None:
            return
        if social is not None:
            self._users.changed(viewer.user_id)
        if video is not None:
            await self._feed.acted(viewer, int(video[1]), video[2], undone=request.method == "DELETE")

    async def _viewer(self, request: web.Request) -> Viewer | None:
        try:
            caller = await self._guard.identify(request, Access.USER)
        except PopreelError:  # the origin let it pass; a PoP that cannot verify right now just does not learn
            return None
        if caller is None or caller.user_id is None:
            return None
        user_id = str(caller.user_id)
        return Viewer(id=f"u:{user_id}", user_id=user_id, teen=caller.teen, region=self._region)
