"""The `sound` job: a file an operator sent becomes a sound that can be heard and mixed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from foundation.stores.job_queue import Job
from foundation.stores.objects import ObjectStore
from origin.lifecycle.object_keys import prepared_sound_key, sound_upload_number, sounds_prefix
from origin.packaging.scratch import Scratch
from origin.sounds.sound_store import SoundStore
from packager.errors import PackagingFailed
from packager.events import SoundPrepared
from packager.limits import Limits

PrepareSound = Callable[..., Awaitable[SoundPrepared]]
"""`packager.prepare_sound`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundMaking:
    sounds: SoundStore
    objects: ObjectStore
    scratch: Scratch
    prepare: PrepareSound
    limits: Limits
    timeout_s: float

    async def run(self, job: Job) -> None:
        """Idempotent: every try writes the same key. Raises RefusedInput, PackagingFailed, a store's error."""
        sound_id, upload_key = int(job.key), str(job.payload["original"])
        key = prepared_sound_key(upload_key)
        sound = await self.sounds.find(sound_id)
        if sound is not None and sound.object_key != key:  # else an earlier try was killed when all but this was done
            await self._make(sound_id, upload_key, key)
        await self._clean(sound_id, upload_key)

    async def _make(self, sound_id: int, upload_key: str, key: str) -> None:
        async with self.scratch.folder(f"sound-{sound_id}") as folder:
            try:
                await self.objects.download(upload_key, folder / "upload")
            except FileNotFoundError as err:
                raise PackagingFailed("source", "the sound's file is not in the object store") from err
            made = await self.prepare(folder / "upload", folder / "out", limits=self.limits, deadline_s=self.timeout_s)
            await self.objects.put_file(
                key, folder / "out" / made.name, content_type="audio/mp4", cache_control="public, max-age=31536000"
            )
        await self.sounds.prepared(sound_id, made, object_key=key)

    async def give_up(self, job: Job, reason: str) -> None:
        """No try will make it: say why, leave nothing of it behind."""
        sound_id, upload_key = int(job.key), str(job.payload["original"])
        await self.sounds.refused(sound_id, reason)
        await self._clean(sound_id, upload_key)

    async def _clean(self, sound_id: int, upload_key: str) -> None:
        """Remove what is not served, of this upload and earlier ones; a later one may just be arriving."""
        sound = await self.sounds.find(sound_id)
        for stored in await self.objects.list_prefix(sounds_prefix(sound_id)):
            late = sound_upload_number(stored.key) > sound_upload_number(upload_key)
            if not late and (sound is None or stored.key != sound.object_key):
                await self.objects.delete(stored.key)
