"""What `package` yields while it works. Consumers ignore kinds they do not know."""

from __future__ import annotations

import msgspec

from foundation.wire.media import MediaManifest


class SourceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The input as understood: sizes are upright and square-pixel, as a viewer sees it."""

    container: str
    video_codec: str
    audio_codec: str | None
    width: int
    height: int
    coded_width: int
    coded_height: int
    rotation: int
    """Degrees clockwise that a player must turn the coded picture."""
    sample_aspect: str
    frame_rate: float
    """Of the result."""
    source_frame_rate: float
    variable_frame_rate: bool
    duration_s: float
    """Of the source, before edits."""
    hdr: str | None
    """"pq" or "hlg" when tone mapping applies."""
    interlaced: bool
    audio_channels: int
    size_bytes: int


class Probed(msgspec.Struct, frozen=True, kw_only=True, tag="probed"):
    source: SourceInfo


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """`fraction` is of the whole job, 0 to 1, and never falls."""

    stage: str
    fraction: float


class FileGrew(msgspec.Struct, frozen=True, kw_only=True, tag="grew"):
    """`{name}.part` in out_dir now has `size_bytes`; bytes from `final_from` on will not change any more.

    The head (initialization section and index, a few hundred bytes to a few kB) is final when FileReady comes, so a
    multipart upload sends the part that holds it last.
    """

    name: str
    size_bytes: int
    final_from: int


class FileReady(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """A file of out_dir is final (master.m3u8 and manifest.json: until the next RungReady replaces them)."""

    name: str
    size_bytes: int
    content_type: str


class Playable(msgspec.Struct, frozen=True, kw_only=True, tag="playable"):
    manifest: MediaManifest


class RungReady(msgspec.Struct, frozen=True, kw_only=True, tag="rung"):
    manifest: MediaManifest


class Analysis(msgspec.Struct, frozen=True, kw_only=True, tag="analysis"):
    """Paths of .npy files: frames uint8 (n, 224, 224, 3) RGB; audio float32 mono 16 kHz, at most 60 s, or None."""

    frames_path: str
    audio_path: str | None


class Completed(msgspec.Struct, frozen=True, kw_only=True, tag="completed"):
    manifest: MediaManifest


class SoundPrepared(msgspec.Struct, frozen=True, kw_only=True, tag="sound"):
    """A sound of the library is done: file `name` of out_dir is AAC in MP4 at the target loudness."""

    name: str
    size_bytes: int
    duration_ms: int
    loudness_lufs: float
    """Integrated, of the file as it was given."""
    fingerprint: str | None
    """Chromaprint, base64 in AcoustID's compressed form; None below about 3 s."""


class SandboxReport(msgspec.Struct, frozen=True, kw_only=True, tag="sandbox"):
    """Which walls stand around the encoder: "rlimits", "network" (none), "landlock", "seccomp"."""

    walls: tuple[str, ...]


Event = SandboxReport | Probed | Progress | FileGrew | FileReady | Playable | RungReady | Analysis | Completed
SoundEvent = SandboxReport | Progress | FileReady | SoundPrepared


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """Child to parent only: the input broke a rule."""

    code: str
    detail: str


class Broke(msgspec.Struct, frozen=True, kw_only=True, tag="broke"):
    """Child to parent only: packaging failed."""

    code: str
    detail: str


ChildMessage = Event | SoundPrepared | Refused | Broke

CONTENT_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4",
    ".webp": "image/webp",
    ".vtt": "text/vtt; charset=utf-8",
    ".json": "application/json",
    ".npy": "application/octet-stream",
}
