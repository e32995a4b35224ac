"""The input, opened through a descriptor that the parent handed over, never by name."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

import av
import av.error
import av.stream

from packager.errors import Refusal, RefusedInput
from packager.sniff import HEAD_BYTES, demuxer_of, sound_demuxer_of

if TYPE_CHECKING:
    from av.container.input import InputContainer

VIDEO_CODECS = frozenset(
    {
        *("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "prores", "mpeg2video", "mpeg1video"),
        *("msmpeg4v2", "msmpeg4v3", "h263", "mjpeg", "dnxhd"),
    }
)
AUDIO_CODECS = frozenset(
    {
        *("aac", "mp3", "mp2", "opus", "vorbis", "ac3", "eac3", "flac", "alac", "amr_nb", "amr_wb"),
        *("pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le", "pcm_u8"),
        *("pcm_mulaw", "pcm_alaw"),
    }
)
_DECODERS = VIDEO_CODECS | AUDIO_CODECS | {"libdav1d", "mp3float", "libopus", "amrnb", "amrwb", "mpegvideo"}
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,mp3,wav,flac,ogg"
_PROBING = {
    "codec_whitelist": ",".join(sorted(_DECODERS)),
    "probesize": "8000000",
    "analyzeduration": "6000000",
}
_NO_PROBING = {"codec_whitelist": "none", "probesize": "32", "analyzeduration": "0", "fpsprobesize": "0"}
"""The first picture of a phone's 1080p clip takes 60 ms to decode, and a job opens its source five times."""
_DESCRIBED_IN_HEAD = {"mov", "matroska"}
"""Containers that list all their streams in front; in the others streams show up as packets are read."""
_MEDIA_ERRORS = (av.error.FFmpegError, ValueError)


class DescriptorFile:
    """Read-only file over a descriptor with a position of its own (pread), so several readers share one descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0
        self.size = os.fstat(descriptor).st_size
        self.name = "upload"

    def read(self, count: int) -> bytes:
        data = os.pread(self._descriptor, count, self._position)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence & 0xFF]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        return self._position


def _refuse_nested(url: str, flags: int, options: object) -> object:
    """FFmpeg asks for another file (external track data, playlists): there is none."""
    raise PermissionError("the input may not open other files")


def open_source(descriptor: int) -> InputContainer:
    """Open the one container the file's own first bytes allow. The caller closes it. Raises RefusedInput.

    Three locks on one door: our demuxer table, FFmpeg's white lists of formats, codecs and protocols, and an io_open
    that refuses; behind them stands the sandbox.
    """
    return _open(descriptor, demuxer_of(os.pread(descriptor, HEAD_BYTES, 0)), _PROBING)


def open_known(descriptor: int, *, size: tuple[int, int] | None = None) -> InputContainer:
    """As open_source, for a file that was surveyed: FFmpeg need not decode its first pictures to know what they are.

    Streams give packets and decode as ever, but may not tell their formats. `size` is what the video really decodes
    to: where the file's head says otherwise, FFmpeg has to look for itself.
    """
    demuxer = demuxer_of(os.pread(descriptor, HEAD_BYTES, 0))
    if demuxer in _DESCRIBED_IN_HEAD:
        container = _open(descriptor, demuxer, _NO_PROBING)
        said = {(stream.codec_context.width, stream.codec_context.height) for stream in container.streams.video}
        if size is None or size in said:
            return container
        container.close()
    return _open(descriptor, demuxer, _PROBING)


def open_sound(descriptor: int) -> InputContainer:
    """As open_source, for a file of the sound library; it has at least one audio stream."""
    container = _open(descriptor, sound_demuxer_of(os.pread(descriptor, HEAD_BYTES, 0)), _PROBING)
    if not container.streams.audio:
        container.close()
        raise RefusedInput(Refusal.EDITS, "The chosen sound holds no sound.")
    return container


def _open(descriptor: int, demuxer: str, probing: dict[str, str]) -> InputContainer:
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "none", "max_streams": "64", **probing}
    try:
        return av.open(
            DescriptorFile(descriptor),
            "r",
            format=demuxer,
            container_options=options,
            metadata_errors="replace",
            buffer_size=1 << 18,
            io_open=_refuse_nested,
        )
    except _MEDIA_ERRORS as err:
        raise RefusedInput(
            Refusal.DAMAGED,
            "The file looks like a video but cannot be read: it is cut short or damaged. Export or upload it again.",
        ) from err


def video_stream(container: InputContainer, index: int) -> av.VideoStream:
    """The stream as what it is known to be. It dies with its container."""
    stream = container.streams[index]
    if not isinstance(stream, av.VideoStream):
        raise TypeError(f"stream {index} is no video")
    return stream


def audio_stream(container: InputContainer, index: int) -> av.AudioStream:
    stream = container.streams[index]
    if not isinstance(stream, av.AudioStream):
        raise TypeError(f"stream {index} is no sound")
    return stream


def decoded_pictures(container: InputContainer, stream: av.VideoStream, *, skip: int = 0) -> Iterator[av.VideoFrame]:
    """Pictures of a stream; broken packets are skipped, a broken container ends the stream.

    The first `skip` packets are not decoded.
    """
    for packet in itertools.islice(packets(container, stream), skip, None):
        with contextlib.suppress(av.error.FFmpegError):
            yield from packet.decode()


def decoded_sound(container: InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    """As decoded_pictures, for sound."""
    for packet in packets(container, stream):
        with contextlib.suppress(av.error.FFmpegError):
            yield from packet.decode()


S = TypeVar("S", bound=av.stream.Stream)


def packets(container: InputContainer, *streams: S) -> Iterator[av.Packet[S]]:
    """Packets until the end or until the demuxer gives up: what came before a truncation is the video."""
    with contextlib.suppress(av.error.FFmpegError):
        yield from container.demux(*streams)  # type: ignore[misc]  # the stubs forget which streams were asked for
