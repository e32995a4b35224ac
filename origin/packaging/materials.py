"""What the packager needs beside the upload: the file of the chosen sound, the other clip of a duet or stitch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foundation.errors import RequestError
from foundation.stores.errors import ObjectTooLarge
from foundation.stores.objects import ObjectStore
from origin.lifecycle.remix import Medium, Remix, picture_medium
from origin.lifecycle.video import Video
from packager.edits import Edits
from packager.errors import PackagingFailed, Refusal, RefusedInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """Files in the job's scratch folder; None where the edits ask for none."""

    sound: Path | None = None
    partner: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaterialFetcher:
    """Asks again whether they may be used, then fetches them, at most `max_bytes` each."""

    remix: Remix
    objects: ObjectStore
    max_bytes: int

    async def fetch(self, video: Video, edits: Edits, folder: Path) -> Materials:
        """Raises RefusedInput (a reason for the uploader), PackagingFailed (try again), ObjectsUnavailable."""
        try:
            sound = await self._sound(video, edits)
            partner = await self._partner(video, edits)
        except RequestError as err:  # gone, hidden, closed or blocked since the upload was completed
            raise RefusedInput(Refusal.EDITS, f"The video cannot be made any more: {err.detail}.") from err
        return Materials(
            sound=await self._fetched(sound, folder / "sound"), partner=await self._fetched(partner, folder / "partner")
        )

    async def _sound(self, video: Video, edits: Edits) -> Medium | None:
        if edits.sound is None or video.sound is None:  # without a name the packager refuses, and says so
            return None
        return await self.remix.sound_medium(int(video.sound.id), by=video.owner_id)

    async def _partner(self, video: Video, edits: Edits) -> Medium | None:
        if edits.partner is None or video.partner_id is None:
            return None
        partner = await self.remix.partner(video.partner_id, by=video.owner_id)
        return picture_medium(partner, max_bytes=self.max_bytes)

    async def _fetched(self, medium: Medium | None, path: Path) -> Path | None:
        if medium is None:
            return None
        if medium.size_bytes > self.max_bytes:
            raise RefusedInput(Refusal.EDITS, "The other video is too large to be used in this one.")
        try:
            await self.objects.download(medium.key, path, max_bytes=medium.size_bytes)
        except (FileNotFoundError, ObjectTooLarge) as err:  # replaced between the look-up and now
            raise PackagingFailed("source", f"{medium.key} is not what it was") from err
        return path
