"""What an upload wants to be made with besides its own file: a sound, a partner. Checked before anything is stored."""

from __future__ import annotations

from dataclasses import dataclass

from foundation.errors import BadInput
from foundation.ids import UserId, VideoId, parse_id
from foundation.wire.catalogue import Sound
from origin.lifecycle.remix import Remix
from origin.uploads.messages import Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """Allowed to this uploader at this moment; asked again when the video is packaged."""

    sound: Sound | None = None
    partner_id: VideoId | None = None


NO_INGREDIENTS = Ingredients()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pantry:
    """Finds the ingredients a completion names."""

    remix: Remix

    async def chosen(self, body: Completion, *, by: UserId) -> Ingredients:
        """Raises BadInput, UnknownSound, SoundNotReady, UnknownVideo, RemixRefused."""
        return Ingredients(sound=await self._sound(body, by=by), partner_id=await self._partner(body, by=by))

    async def _sound(self, body: Completion, *, by: UserId) -> Sound | None:
        overlay = body.edits.sound if body.edits is not None else None
        if body.music_id is None:
            if overlay is not None:
                raise BadInput("edits.sound says how a sound is mixed: name the sound in musicId")
            return None
        sound = await self.remix.sound(parse_id(body.music_id), by=by)
        if overlay is not None:
            await self.remix.sound_medium(sound.id, by=by)
            if overlay.start_ms >= sound.duration_ms:
                raise BadInput(f"edits.sound.startMs: the sound lasts {sound.duration_ms} ms, begin before its end")
        return sound.label

    async def _partner(self, body: Completion, *, by: UserId) -> VideoId | None:
        wanted = body.edits.partner if body.edits is not None else None
        if (wanted is None) != (body.partner_id is None):
            raise BadInput("a duet or stitch needs both: the other video in partnerId and the layout in edits.partner")
        if body.partner_id is None:
            return None
        return (await self.remix.partner(VideoId(parse_id(body.partner_id)), by=by)).id
