"""The catalogue: what PoPs replicate from the origin (a snapshot, then an ordered change log)."""

from __future__ import annotations

from typing import Literal

from foundation.wire import Wire
from foundation.wire.media import MediaManifest

EMBEDDING_DIM = 256


class Creator(Wire, frozen=True, kw_only=True):
    id: str
    username: str
    display_name: str
    avatar_url: str | None = None
    verified: bool = False


class Sound(Wire, frozen=True, kw_only=True):
    id: str
    title: str
    artist: str = ""


class CaptionFile(Wire, frozen=True, kw_only=True):
    lang: str
    """BCP 47 tag: "en", "pt-BR"."""
    file: str
    """Name under /videos/{region}/{id}/captions/; its bytes never change."""


class Counters(Wire, frozen=True, kw_only=True):
    views: int = 0
    likes: int = 0
    comments: int = 0
    shares: int = 0


class CatalogueItem(Wire, frozen=True, kw_only=True):
    """One published video with all a PoP needs to recommend and start it."""

    id: str
    creator: Creator
    title: str
    description: str = ""
    hashtags: tuple[str, ...] = ()
    sound: Sound | None = None
    visibility: Literal["public", "followers"] = "public"
    region: str = ""
    """Region the upload came from ("us-east"), "" if unknown."""
    created_at_ms: int
    published_at_ms: int
    revision: int
    """Content revision: media files live under /videos/{region}/{id}/r{revision}/ and never change there."""
    manifest: MediaManifest
    counters: Counters = Counters()
    embedding: str | None = None
    """Base64 of 256 little-endian float16, L2-normalised; None until computed (meanwhile only fresh sources apply)."""
    embedding_space: str = ""
    """Id of the vector space; vectors of different spaces are never compared."""
    captions: tuple[CaptionFile, ...] = ()


class CatalogueChange(Wire, frozen=True, kw_only=True):
    """One entry of the log. `upsert` carries the whole item, `counters` the new totals, `tombstone` nothing."""

    seq: int
    kind: Literal["upsert", "counters", "tombstone"]
    video_id: str
    item: CatalogueItem | None = None
    counters: Counters | None = None


class CatalogueChanges(Wire, frozen=True, kw_only=True):
    """Reply of GET /internal/v1/catalogue/changes?after=SEQ&limit=N&waitMs=MS (long poll; empty when the wait ends)."""

    changes: tuple[CatalogueChange, ...]
    head: int
    """Highest sequence number at the origin; a PoP whose position is below `floor` must take a snapshot."""
    floor: int = 0


class SnapshotHead(Wire, frozen=True, kw_only=True):
    """First line of GET /internal/v1/catalogue/snapshot (NDJSON; the rest is one CatalogueItem a line)."""

    seq: int
    """Follow the change log after this number."""
    count: int


class RangeDigest(Wire, frozen=True, kw_only=True):
    """Reply of GET /internal/v1/catalogue/digest?after=ID&limit=N: the videos with `after` < id <= `upTo`."""

    seq: int
    """Position of the change log that this is the state of."""
    up_to: str
    """Id of the last video of the range; beyond the last video of all, the largest id there can be."""
    count: int
    digest: str
    """Sum of the videos' checksums (`foundation.catalogue_checksum`), decimal: order does not matter."""
    last: bool
    """Nothing comes after this range."""
