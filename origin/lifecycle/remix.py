"""Whether someone may make a video with someone else's: duet, stitch, or its sound.

Asked twice: when an upload is completed, so that the answer comes at once, and again when it is packaged, because in
between the other video may have been deleted, hidden or closed, or a block put up.
"""

from __future__ import annotations

from dataclasses import dataclass

from foundation.ids import UserId, VideoId
from origin.accounts.access import AccessStore, Relation
from origin.errors import RemixRefused, SoundNotReady, UnknownVideo
from origin.lifecycle.object_keys import revision_prefix
from origin.lifecycle.states import Visibility
from origin.lifecycle.video import Video
from origin.lifecycle.video_store import VideoStore
from origin.sounds.sound_store import LibrarySound, SoundState, SoundStore


def refuse_remix(video: Video, *, by: UserId, relation: Relation) -> None:
    """Pure. Return if `by` may use `video`; raises UnknownVideo (it must not even be known of), RemixRefused.

    Only public videos: what is shown to a few must not reach everybody inside another's clip.
    """
    own = video.owner_id == by
    if not video.served or (not own and (relation.blocked or video.visibility is Visibility.PRIVATE)):
        raise UnknownVideo(f"there is no video {video.id} to use")
    if not own and video.visibility is not Visibility.PUBLIC:
        raise RemixRefused("only public videos can be used in someone else's")
    if not own and not video.remixes_open:
        raise RemixRefused("its creator does not allow others to use this video or its sound")


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """An object that the packager gets beside the upload."""

    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Remix:
    """Looks up what may be used and where its bytes are."""

    videos: VideoStore
    sounds: SoundStore
    access: AccessStore

    async def partner(self, video_id: VideoId, *, by: UserId) -> Video:
        """A video that `by` may use. Raises UnknownVideo, RemixRefused."""
        video = await self.videos.get(video_id)
        refuse_remix(video, by=by, relation=await self.access.relation(by, video.owner_id))
        return video

    async def sound(self, sound_id: int, *, by: UserId) -> LibrarySound:
        """A sound that `by` may name. Raises UnknownSound, and of a video's sound what `partner` raises."""
        sound = await self.sounds.get(sound_id)
        if sound.source_video_id is not None:
            await self.partner(sound.source_video_id, by=by)
        return sound

    async def sound_medium(self, sound_id: int, *, by: UserId) -> Medium:
        """The file of a sound that `by` wants to mix. Raises as `sound`, and SoundNotReady."""
        sound = await self.sound(sound_id, by=by)
        if sound.source_video_id is not None:
            return picture_medium(await self.videos.get(sound.source_video_id), max_bytes=0)
        if sound.state is not SoundState.READY or sound.object_key is None:
            raise SoundNotReady(f"the sound {sound.title!r} has no file (yet): it can be named, not mixed")
        return Medium(key=sound.object_key, size_bytes=sound.size_bytes)


def picture_medium(video: Video, *, max_bytes: int) -> Medium:
    """The best rung of a served video that has at most `max_bytes`; the lowest if none has. Pure.

    A rung, not the original: trim, mute and looks of its creator are in it, and it is known to decode.
    """
    assert video.manifest is not None
    assert video.ready_revision is not None
    lowest, *others = video.manifest.renditions
    best = max((rung for rung in others if rung.size_bytes <= max_bytes), key=lambda rung: rung.height, default=lowest)
    return Medium(key=f"{revision_prefix(video.id, video.ready_revision)}{best.name}.mp4", size_bytes=best.size_bytes)
