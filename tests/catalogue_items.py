"""Catalogue items for tests: one 20 s video with one rung; name only what the test is about."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import numpy as np

from foundation.wire.catalogue import CatalogueItem, Creator
from foundation.wire.media import MediaManifest, Rendition

_RUNG = Rendition(
    name="360p",
    width=360,
    height=640,
    frame_rate=30,
    codecs="avc1.64001e,mp4a.40.2",
    bandwidth_bps=800_000,
    average_bandwidth_bps=600_000,
    size_bytes=1_000_000,
    init_bytes=900,
    prefix_bytes=90_000,
)
_MANIFEST = MediaManifest(
    duration_ms=20_000,
    width=360,
    height=640,
    frame_rate=30,
    has_audio=True,
    renditions=(_RUNG,),
    start_playlist='#EXTM3U\n#EXT-X-MAP:URI="360p.mp4",BYTERANGE="900@0"\n#EXTINF:1,\n360p.mp4\n',
    thumbhash="",
)


def creator(number: int) -> Creator:
    return Creator(id=str(number), username=f"user{number}", display_name=f"User {number}")


def video(
    number: int,
    *,
    vector: np.ndarray | None = None,
    space: str = "content-1",
    published_s: float = 0,
    duration_ms: int = _MANIFEST.duration_ms,
    **fields: Any,
) -> CatalogueItem:
    """Video `number` with `vector` (256 floats) in `space`; `fields` are CatalogueItem's own, in place of these."""
    item = CatalogueItem(
        id=str(number),
        creator=creator(1000 + number),
        title=f"Video {number}",
        created_at_ms=int(published_s * 1000),
        published_at_ms=int(published_s * 1000),
        revision=1,
        manifest=msgspec.structs.replace(_MANIFEST, duration_ms=duration_ms),
        embedding=None if vector is None else base64.b64encode(vector.astype("<f2").tobytes()).decode(),
        embedding_space="" if vector is None else space,
    )
    return msgspec.structs.replace(item, **fields)
