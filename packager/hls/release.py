"""Release of a revision's text files: written whole, verified by reading back, renamed into place."""

from __future__ import annotations

from pathlib import Path

import msgspec

from foundation.wire.media import MediaManifest, Rendition
from packager.hls.playlist import (
    average_bps,
    iframe_peak_bps,
    iframe_playlist,
    master_playlist,
    media_playlist,
    peak_bps,
)
from packager.hls.verify import verify_master, verify_media
from packager.ladder import Rung
from packager.mp4.avc import aac_codec, avc_codec
from packager.mp4.rung_file import RungLayout
from packager.sound.aac import AacSound

MANIFEST = "manifest.json"


class Release:
    """The published state of one revision in `out_dir`. Not thread-safe: the session's thread owns it.

    Order matters for atomicity: a rung's mp4 is final before its playlists are written, those before the master that
    names them, and the master is replaced by rename, so a reader sees the old one or the new one, whole.
    """

    def __init__(self, out_dir: Path, *, revision: int) -> None:
        self._out = out_dir
        self._revision = revision
        self._rungs: list[tuple[Rendition, int]] = []
        self._manifest: MediaManifest | None = None
        self._files: dict[str, int] = {}

    def describe(self, manifest: MediaManifest) -> None:
        """Set what is known of the clip apart from rungs and files; may be called again as more becomes known."""
        self._manifest = manifest

    def manifest(self) -> MediaManifest:
        assert self._manifest is not None
        first = self._rungs[0][0].name if self._rungs else None
        return msgspec.structs.replace(
            self._manifest,
            renditions=tuple(rendition for rendition, _ in self._rungs),
            start_playlist=(self._out / f"{first}.m3u8").read_text() if first else "",
            files=dict(sorted(self._files.items())),
        )

    def amend(self, **fields: object) -> None:
        assert self._manifest is not None
        self._manifest = msgspec.structs.replace(self._manifest, **fields)

    def note(self, name: str, size_bytes: int) -> None:
        """List a file in the manifest. manifest.json is not: writing its size down would change it."""
        if name != MANIFEST:
            self._files[name] = size_bytes

    def add_rung(self, rung: Rung, layout: RungLayout, avcc: bytes, sound: AacSound | None) -> tuple[str, ...]:
        """Write the rung's playlists; returns the names of its final files."""
        names = (f"{rung.name}.mp4", f"{rung.name}.m3u8", f"{rung.name}-iframes.m3u8")
        media, iframes = media_playlist(rung.name, layout), iframe_playlist(rung.name, layout)
        verify_media(media, layout, rung.name)
        verify_media(iframes, layout, rung.name)
        write_whole(self._out / names[1], media)
        write_whole(self._out / names[2], iframes)
        codecs = [avc_codec(avcc)] + ([aac_codec(sound.track.config)] if sound else [])
        rendition = Rendition(
            name=rung.name,
            width=rung.width,
            height=rung.height,
            frame_rate=float(rung.frame_rate),
            codecs=",".join(codecs),
            bandwidth_bps=peak_bps(layout),
            average_bandwidth_bps=average_bps(layout),
            size_bytes=layout.size_bytes,
            init_bytes=layout.init_bytes,
            prefix_bytes=layout.prefix_bytes,
        )
        self._rungs.append((rendition, iframe_peak_bps(layout)))
        self._rungs.sort(key=lambda item: item[0].width * item[0].height)
        return names

    def publish(self) -> tuple[str, str]:
        """Replace master.m3u8 and manifest.json with ones that name exactly what is final now."""
        master = master_playlist(self._rungs)
        verify_master(master, self._out, [rendition for rendition, _ in self._rungs])
        write_whole(self._out / "master.m3u8", master)
        self.note("master.m3u8", len(master.encode()))
        write_whole(self._out / MANIFEST, msgspec.json.encode(self.manifest()))
        return "master.m3u8", MANIFEST


def write_whole(path: Path, content: str | bytes) -> None:
    """Write to a neighbour and rename: nobody ever reads half a file."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    part.replace(path)
