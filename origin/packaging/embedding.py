"""The video's vector: computed in a thread from the packager's analysis, kept aside for a retry when that fails."""

from __future__ import annotations

import asyncio
import io
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from foundation.errors import PopreelError
from foundation.stores.job_queue import enqueue
from foundation.stores.objects import ObjectStore
from foundation.stores.postgres import Shards
from foundation.stores.shard_map import Family
from foundation.wire.catalogue import Creator
from foundation.wire.media import MediaManifest
from inference.video_embedding import VideoEmbedder
from origin.lifecycle.object_keys import originals_prefix, revision_prefix
from origin.lifecycle.video import Video
from origin.lifecycle.video_store import EMBED_JOB, VideoStore
from origin.packaging.sampling import sample

_log = logging.getLogger(__name__)


class Embedder(Protocol):
    """What `inference.video_embedding.VideoEmbedder` offers."""

    space: str

    def embed(
        self, *, frames: NDArray[np.uint8], text: str, audio_16k: NDArray[np.float32] | None, creator_id: str
    ) -> NDArray[np.float32]: ...


def load_embedder(model_dir: Path | None) -> Embedder | None:
    """The content models, or None with a log line when they are not installed. Blocking, about 0.5 s."""
    if model_dir is None:
        _log.warning("no model_dir: videos stay without vectors", extra={"event": "embedder_absent"})
        return None
    try:
        return VideoEmbedder.load(model_dir)
    except (PopreelError, OSError) as err:
        _log.warning("no embedding models", extra={"event": "embedder_absent", "cause": str(err)})
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """Computes and stores vectors; `pool` runs the models."""

    embedder: Embedder | None
    videos: VideoStore
    objects: ObjectStore
    shards: Shards
    pool: ThreadPoolExecutor

    async def embed(self, video: Video, creator: Creator, *, frames: Path, audio: Path | None) -> None:
        """Embed from the packager's files; on any failure keep them and leave the rest to a job of its own."""
        try:
            await self._embed(video, creator, await asyncio.to_thread(_load, frames, audio))
        except Exception as err:  # publishing never depends on a model, whatever it throws
            _log.warning(
                "embedding failed, a job will retry",
                extra={"event": "embedding_failed", "video_id": str(video.id), "cause": repr(err)},
            )
            await self._keep_for_retry(video, frames, audio)

    async def retry(self, video: Video, creator: Creator) -> None:
        """The job: from what was kept, else from the video's lowest rendition. Raises what the models raise."""
        if self.embedder is None:
            return
        frames = await self.objects.get_bytes(_kept(video, "frames"))
        audio = await self.objects.get_bytes(_kept(video, "audio"))
        if frames is None and video.manifest is not None:  # embedded before: an operator wants its vector made anew
            arrays = await self._sampled(video, video.manifest)
        else:
            arrays = (
                np.load(io.BytesIO(frames)) if frames else np.zeros((0, 224, 224, 3), np.uint8),
                np.load(io.BytesIO(audio)) if audio else None,
            )
        await self._embed(video, creator, arrays)
        for name in ("frames", "audio"):
            await self.objects.delete(_kept(video, name))

    async def _sampled(
        self, video: Video, manifest: MediaManifest
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
        """What the packager's analysis was made of, out of the lowest rendition."""
        key = f"{revision_prefix(video.id, video.revision)}{manifest.renditions[0].name}.mp4"
        data = await self.objects.get_bytes(key)
        if data is None:
            return np.zeros((0, 224, 224, 3), np.uint8), None
        return await asyncio.to_thread(sample, data, manifest)

    async def _embed(
        self, video: Video, creator: Creator, arrays: tuple[NDArray[np.uint8], NDArray[np.float32] | None]
    ) -> None:
        if self.embedder is None:
            return
        frames, audio = arrays
        text = " ".join([video.title, *(f"#{tag}" for tag in video.hashtags), video.description]).strip()
        embedder = self.embedder
        vector = await asyncio.get_running_loop().run_in_executor(
            self.pool,
            lambda: embedder.embed(frames=frames, text=text, audio_16k=audio, creator_id=str(video.owner_id)),
        )
        await self.videos.embedded(
            video.id,
            revision=video.revision,
            vector=vector.astype("<f2").tobytes(),
            space=embedder.space,
            creator=creator,
        )

    async def _keep_for_retry(self, video: Video, frames: Path, audio: Path | None) -> None:
        for name, path in (("frames", frames), ("audio", audio)):
            if path is not None and path.exists():
                await self.objects.put_file(_kept(video, name), path, content_type="application/octet-stream")
        async with self.shards.write(Family.VIDEO, video.id) as connection:
            await enqueue(
                connection, kind=EMBED_JOB, key=str(video.id), family=Family.VIDEO, snowflake=video.id, delay_s=5
            )


def _load(frames: Path, audio: Path | None) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    return np.load(frames), np.load(audio) if audio is not None else None


def _kept(video: Video, name: str) -> str:
    return f"{originals_prefix(video.id)}analysis/{name}.npy"
