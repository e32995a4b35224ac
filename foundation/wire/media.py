"""What the packager made of a video: `manifest.json`, kept in the video's row and in the catalogue."""

from __future__ import annotations

import msgspec

from foundation.wire import Wire

MANIFEST_VERSION = 1


class Rendition(Wire, frozen=True, kw_only=True):
    """One rung: a fragmented MP4 with audio muxed in, addressed by byte ranges from its media playlist."""

    name: str
    """Short edge and 'p': "360p". The files are {name}.mp4, {name}.m3u8 and {name}-iframes.m3u8."""
    width: int
    height: int
    frame_rate: float
    codecs: str
    """RFC 6381 string measured from the bitstream, e.g. "avc1.64001e,mp4a.40.2"."""
    bandwidth_bps: int
    """Peak segment bit rate (RFC 8216 BANDWIDTH)."""
    average_bandwidth_bps: int
    size_bytes: int
    init_bytes: int
    """Length of the initialization section at the head of the file (the EXT-X-MAP byte range)."""
    prefix_bytes: int
    """Bytes from 0 that hold init + first fragment: what a warm start needs."""


class MediaManifest(Wire, frozen=True, kw_only=True):
    """Everything about one packaged revision. `renditions` are lowest first and never empty once playable."""

    version: int = MANIFEST_VERSION
    duration_ms: int
    width: int
    height: int
    frame_rate: float
    has_audio: bool
    renditions: tuple[Rendition, ...]
    start_playlist: str
    """Text of the first rung's media playlist, for inlining in a feed item; its URIs are relative file names."""
    thumbhash: str
    """Base64 thumbhash of the poster (about 25 bytes), shown until the poster arrives; "" when not made."""
    files: dict[str, int] = msgspec.field(default_factory=dict)
    """Every file of the revision by relative name, with its size in bytes."""
    loudness_lufs: float | None = None
    """Integrated loudness of the source before normalisation."""
    audio_fingerprint: str | None = None
    """Chromaprint, base64 in AcoustID's compressed form."""
    frame_hashes: tuple[str, ...] = ()
    """PDQ hashes (64 hex digits) of the analysis frames, in time order."""
