"""Lists of videos as the API shows them: ids in, views out, in order, without what the viewer may not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from foundation.ids import UserId, VideoId
from foundation.stores.postgres import Connection, Shards
from foundation.stores.shard_map import Family
from foundation.wire import Wire
from foundation.wire.catalogue import Counters
from origin.accounts.access import AccessStore
from origin.accounts.account_store import AccountStore
from origin.engagement.engagement_store import EngagementStore
from origin.lifecycle.media_access import MediaAccess
from origin.lifecycle.states import Visibility, listed
from origin.lifecycle.video import COLUMNS, Video, VideoView, counters_of, video_of, video_view

_FETCH = f"""select {COLUMNS}, c.views, c.likes, c.comments, c.shares
    from videos v join video_counters c on c.video_id = v.id where v.id = any($1) and v.state <> 'deleted'"""  # noqa: S608


class VideoPage(Wire, frozen=True, kw_only=True):
    videos: tuple[VideoView, ...]
    next_cursor: str | None = None
    """None: this is the last page."""
    partial: bool = False
    """Part of the database is away: what it holds is missing here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLists:
    shards: Shards
    accounts: AccountStore
    access: AccessStore
    engagements: EngagementStore
    media: MediaAccess

    async def views(
        self, video_ids: Sequence[VideoId], viewer: UserId | None, *, of_owner: UserId | None = None
    ) -> tuple[tuple[VideoView, ...], bool]:
        """Views in the order of `video_ids`, and whether a server was missing.

        `of_owner`: a profile the caller has already been admitted to; followers-only videos are then shown.
        """
        found, missing = await self._fetch(video_ids)
        hidden = await self.access.restricted(viewer) if viewer is not None else frozenset()
        shown = [
            found[video_id]
            for video_id in dict.fromkeys(video_ids)
            if video_id in found and self._visible(found[video_id][0], viewer, of_owner, hidden)
        ]
        owners = await self.accounts.get_many({video.owner_id for video, _ in shown})
        mine = await self.engagements.of_viewer(viewer, [video.id for video, _ in shown])
        views = tuple(
            video_view(
                video,
                owners[video.owner_id].creator(),
                counters,
                liked=video.id in mine.liked,
                bookmarked=video.id in mine.bookmarked,
                media_root=self.media.root(video),
            )
            for video, counters in shown
            if video.owner_id in owners and (not owners[video.owner_id].banned or viewer == video.owner_id)
        )
        return views, missing

    def _visible(self, video: Video, viewer: UserId | None, of_owner: UserId | None, hidden: frozenset[UserId]) -> bool:
        if viewer == video.owner_id:
            return True
        if not video.served or video.owner_id in hidden:
            return False
        if video.owner_id == of_owner:
            return listed(video.visibility)  # a shadow ban takes videos out of feeds and search, not off a profile
        return video.in_catalogue and video.visibility is Visibility.PUBLIC

    async def _fetch(self, video_ids: Sequence[VideoId]) -> tuple[dict[VideoId, tuple[Video, Counters]], bool]:
        groups = self.shards.by_server(Family.VIDEO, video_ids)

        async def ask(name: str, connection: Connection) -> list[Any]:
            return list(await connection.fetch(_FETCH, groups[name])) if name in groups else []

        scattered = await self.shards.scatter(ask, family=Family.VIDEO, fresh=True)
        rows = [dict(row) for rows in scattered.answers for row in rows]
        found = {VideoId(row["id"]): (video_of(row), counters_of(row)) for row in rows}
        return found, any(name in groups for name in scattered.missing)
