"""Who may see a video, and the token that opens the media of one that is not for everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from foundation.ids import UserId
from foundation.tokens.media import PATH_MARK, MediaTokenVerdict, SignedPath, check, sign
from origin.accounts.access import AccessStore, Relation
from origin.lifecycle.object_keys import media_path
from origin.lifecycle.states import Visibility, is_open
from origin.lifecycle.video import Video


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaAccess:
    """`keys` by key id; the first signs. Without keys, only public and unlisted media can be played."""

    access: AccessStore
    keys: Mapping[str, bytes]
    life_s: int
    clock_s: Callable[[], float]

    async def may_see(self, video: Video, viewer: UserId | None, relation: Relation | None = None) -> bool:
        """Owners see all of theirs; others what is out, by visibility, unless one has blocked the other.

        `relation` of the viewer to the owner, if the caller has looked it up already.
        """
        if viewer is not None and viewer == video.owner_id:
            return True
        if not video.served or video.visibility is Visibility.PRIVATE:
            return False
        relation = relation or await self.access.relation(viewer, video.owner_id)
        if relation.blocked:
            return False
        return video.visibility is not Visibility.FOLLOWERS or relation.following

    def root(self, video: Video) -> str:
        """What goes before the media URLs of a video its asker may see: "" or "/t/{token}"."""
        if is_open(video.visibility) or not self.keys:
            return ""
        prefix = media_path(video.region, video.id)
        expires_s = int(self.clock_s()) + self.life_s
        return f"{PATH_MARK}{sign(prefix, expires_s=expires_s, kid=next(iter(self.keys)), keys=self.keys)}"

    def opens(self, signed: SignedPath) -> bool:
        return check(signed, self.keys, now_s=self.clock_s()) is MediaTokenVerdict.VALID
