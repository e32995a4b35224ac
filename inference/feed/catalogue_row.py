"""A catalogue item as a row: the one place where wire types become columns, for PoPs and for training."""

from __future__ import annotations

import base64
import binascii

import numpy as np
from numpy.typing import NDArray

from foundation.wire.catalogue import EMBEDDING_DIM, CatalogueItem
from inference.feed.columns import NewVideo, region_code, tag_hash


def decode_vector(item: CatalogueItem, space: str) -> NDArray[np.float32] | None:
    """(256,) float32, or None when absent, of another space, not 512 bytes of base64, or not finite."""
    if not item.embedding or item.embedding_space != space:
        return None
    try:
        raw = base64.b64decode(item.embedding, validate=True)
    except binascii.Error:
        return None
    if len(raw) != 2 * EMBEDDING_DIM:
        return None
    vector = np.frombuffer(raw, "<f2").astype(np.float32)
    return vector if np.isfinite(vector).all() else None


def new_video(item: CatalogueItem, *, space: str) -> NewVideo:
    return NewVideo(
        video_id=int(item.id),
        creator_id=int(item.creator.id),
        sound_id=int(item.sound.id) if item.sound else 0,
        region=region_code(item.region),
        published_s=item.published_at_ms / 1000,
        duration_s=item.manifest.duration_ms / 1000,
        hashtags=[tag_hash(tag) for tag in item.hashtags],
        vector=decode_vector(item, space),
        public=item.visibility == "public",
        views=item.counters.views,
        likes=item.counters.likes,
        shares=item.counters.shares,
    )
