"""First look at an input: its streams against the limits, one decoded picture, then every packet's time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av.error
import numpy as np
from numpy.typing import NDArray

from packager.encoder.shape import colour_of
from packager.encoder.source import (
    AUDIO_CODECS,
    VIDEO_CODECS,
    open_source,
    packets,
)
from packager.errors import Refusal, RefusedInput
from packager.events import SourceInfo
from packager.ladder import STANDARD_RATES, output_rate
from packager.limits import Limits
from packager.mp4.init_segment import Colour

if TYPE_CHECKING:
    from av import AudioStream, CodecContext, VideoStream
    from av.container.input import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame

_HDR_TRANSFERS = {16: "pq", 18: "hlg"}
MIN_WHOLE = 0.8
"""Share of the promised duration that must be readable; a little less than all is common and plays well."""
_PROBE_PACKETS = 400
"""Packets looked at for a first decodable picture; a stream that gives none in so many is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPacket:
    """A key picture: its number among the video's packets, and its time on the survey's clock."""

    number: int
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What is known before encoding. Times are seconds from `origin_s`, the earliest stamp of picture or sound."""

    info: SourceInfo
    video_index: int
    audio_index: int | None
    origin_s: float
    frame_times: NDArray[np.float64]
    """Presentation times of the coded pictures, rising."""
    keys: tuple[KeyPacket, ...]
    """Where decoding can begin, in the file's order."""
    duration_s: float
    rate: Fraction
    """Constant rate of the result at speed 1."""
    rotation: int
    full_range: bool
    colour: Colour
    source_matrix: int
    bytes_per_pixel: float


def survey(descriptor: int, limits: Limits) -> Survey:
    """Probe the input. Raises RefusedInput with the first rule it breaks."""
    _check_size(descriptor, limits)
    with open_source(descriptor) as container:
        video = _video_stream(container, limits)
        audio = _audio_stream(container)
        _check_geometry(video.codec_context.width, video.codec_context.height, limits)
        reading = packets(container, *(stream for stream in (video, audio) if stream is not None))
        times = _Times(video.index, limits)
        first = _first_picture(reading, video, times)
        _check_geometry(first.width, first.height, limits)
        for packet in reading:
            times.add(packet)
        return _measured(container, descriptor, video, audio, first, times, limits)


def _check_size(descriptor: int, limits: Limits) -> None:
    size = os.fstat(descriptor).st_size
    if size > limits.max_bytes:
        raise RefusedInput(
            Refusal.TOO_LARGE,
            f"The file has {size / 1e6:.0f} MB; at most {limits.max_bytes / 1e6:.0f} MB are allowed.",
        )


def _video_stream(container: InputContainer, limits: Limits) -> VideoStream:
    if len(container.streams) > limits.max_streams:
        raise RefusedInput(
            Refusal.TOO_MANY_STREAMS,
            f"The file has {len(container.streams)} tracks; at most {limits.max_streams} are allowed.",
        )
    pictures = [stream for stream in container.streams.video if not _is_cover(stream)]
    if not pictures and not container.streams.audio:
        raise RefusedInput(
            Refusal.DAMAGED, "The file's table of contents is cut short or damaged. Export or upload it again."
        )
    if not pictures:
        raise RefusedInput(Refusal.NO_VIDEO, "The file has no video track, only sound or other data.")
    for stream in pictures:
        if _codec(stream) in VIDEO_CODECS:
            return stream
    name = _codec(pictures[0])
    raise RefusedInput(
        Refusal.CODEC,
        f"The picture is coded as {name}, which is not accepted. Export it as H.264, HEVC, VP9 or AV1.",
    )


def _codec(stream: VideoStream | AudioStream) -> str:
    """Name of the codec; "unknown" where FFmpeg has no decoder (there is no context then, whatever the stubs say)."""
    context: CodecContext | None = stream.codec_context
    return "unknown" if context is None else context.codec.canonical_name


def _is_cover(stream: VideoStream) -> bool:
    """Album art and the like: one still picture, marked so by the container."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _audio_stream(container: InputContainer) -> AudioStream | None:
    """The first track that can be decoded. Raises RefusedInput if there is sound, but none we can read."""
    contexts = [(stream, _codec(stream)) for stream in container.streams.audio]
    for stream, name in contexts:
        if name in AUDIO_CODECS and stream.codec_context.sample_rate:
            return stream
    if contexts:
        name = contexts[0][1]
        raise RefusedInput(Refusal.CODEC, f"The sound is coded as {name}, which is not accepted. Export it as AAC.")
    return None


def _check_geometry(width: int, height: int, limits: Limits) -> None:
    if width <= 0 or height <= 0:
        raise RefusedInput(Refusal.DAMAGED, "The video does not say how large its picture is; it is damaged.")
    if width > limits.max_edge or height > limits.max_edge or width * height > limits.max_pixels:
        raise RefusedInput(
            Refusal.TOO_MANY_PIXELS,
            f"The picture is {width}x{height}; at most {limits.max_pixels / 1e6:.1f} million pixels are allowed. "
            "Export it at 4K or less.",
        )
    if min(width, height) < limits.min_edge:
        raise RefusedInput(
            Refusal.TOO_SMALL,
            f"The picture is {width}x{height}; its edges must have at least {limits.min_edge} pixels.",
        )


def _first_picture(reading: Iterator[Packet[Any]], video: VideoStream, times: _Times) -> VideoFrame:
    """Reads on until a picture of the video decodes; `times` hears of every packet."""
    video.thread_type = "NONE"
    looked_at = 0
    for packet in reading:
        times.add(packet)
        if packet.stream_index != video.index:
            continue
        with contextlib.suppress(av.error.FFmpegError):
            for frame in _at_once(packet, video) if looked_at == 0 and packet.is_keyframe else packet.decode():
                return frame
        looked_at += 1
        if looked_at > _PROBE_PACKETS:
            break
    raise RefusedInput(
        Refusal.DAMAGED, "No picture of the video can be decoded: it is damaged or encrypted. Export it again."
    )


def _at_once(packet: Packet[Any], video: VideoStream) -> list[VideoFrame]:
    """What a key picture decodes to by itself: a decoder that reorders would want more pictures before it gives it."""
    frames = [*packet.decode(), *video.codec_context.decode(None)]
    video.codec_context.flush_buffers()
    return frames


def _measured(
    container: InputContainer,
    descriptor: int,
    stream: VideoStream,
    audio: AudioStream | None,
    first: VideoFrame,
    times: _Times,
    limits: Limits,
) -> Survey:
    seen = np.unique(np.asarray(times.pictures, np.float64))
    if seen.size == 0:
        raise RefusedInput(Refusal.DAMAGED, "The video holds no pictures; it is damaged. Export it again.")
    origin_s = min(float(seen[0]), times.sound_start_s)
    pictures = seen - origin_s
    spacing = _spacing(pictures, stream)
    rate, variable = _rates(pictures, spacing, limits)
    duration_s = float(pictures[-1]) + spacing
    if times.sound_end_s - origin_s > duration_s + 0.5:  # a picture that stands while the sound goes on
        duration_s = times.sound_end_s - origin_s
    _check_whole(stream, float(pictures[-1]) + spacing)
    _check_duration(duration_s, limits)
    info = _describe(container, descriptor, stream, audio, first, rate, variable, duration_s, pictures)
    return Survey(
        info=info,
        video_index=stream.index,
        audio_index=None if audio is None else audio.index,
        origin_s=origin_s,
        frame_times=pictures,
        keys=tuple(KeyPacket(number=number, at_s=at_s - origin_s) for number, at_s in times.keys),
        duration_s=duration_s,
        rate=rate,
        rotation=info.rotation,
        colour=colour_of(first),
        source_matrix=_matrix(first),
        bytes_per_pixel=sum(plane.buffer_size for plane in first.planes) / (first.width * first.height),
        full_range=first.format.name.startswith("yuvj") or int(first.color_range) == 2,
    )


def _matrix(first: VideoFrame) -> int:
    """Matrix code point to decode with: what the stream says, or what it must have meant."""
    said = int(first.colorspace)
    return said if said in (1, 4, 5, 6, 7, 9) else colour_of(first).matrix


class _Times:
    """Collects when pictures and sound are shown, packet by packet. Seconds on the file's clock."""

    def __init__(self, video_index: int, limits: Limits) -> None:
        self._video_index = video_index
        self._limits = limits
        self._number = -1
        self.pictures: list[float] = []
        self.keys: list[tuple[int, float]] = []
        """(number among the video's packets, time) of key pictures."""
        self.sound_start_s = float("inf")
        self.sound_end_s = float("-inf")

    def add(self, packet: Packet[Any]) -> None:
        is_picture = packet.stream_index == self._video_index
        self._number += is_picture
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or packet.size == 0 or packet.is_discard:
            return
        at_s = float(stamp * packet.time_base)
        if not is_picture:
            self.sound_start_s = min(self.sound_start_s, at_s)
            self.sound_end_s = max(self.sound_end_s, at_s + float((packet.duration or 0) * packet.time_base))
            return
        self.pictures.append(at_s)
        if packet.is_keyframe and packet.pts is not None:
            self.keys.append((self._number, at_s))
        _check_count(len(self.pictures), self._limits)


def _check_count(count: int, limits: Limits) -> None:
    if count > limits.max_frames:
        raise RefusedInput(Refusal.TOO_LONG, f"The video has more than {limits.max_frames} pictures.")


def _spacing(pictures: NDArray[np.float64], stream: VideoStream) -> float:
    """Seconds between pictures, typically: the median step, or what the container says when there is one picture."""
    if pictures.size > 1:
        return float(np.median(np.diff(pictures)))
    rate = stream.average_rate or stream.guessed_rate
    return float(1 / rate) if rate else 1 / 30


def _rates(pictures: NDArray[np.float64], spacing: float, limits: Limits) -> tuple[Fraction, bool]:
    """The constant rate to package at, and whether the source's own is variable (5 % of steps off by a third)."""
    steps = np.diff(pictures)
    variable = bool(steps.size > 4 and np.mean(np.abs(steps - spacing) > spacing / 3) > 0.05)
    if pictures.size > 1 and not variable:
        measured = _steady_rate(float(pictures.size - 1) / float(pictures[-1] - pictures[0]), 1 / spacing)
    else:
        measured = 1 / spacing
    if measured > limits.max_frame_rate * 1.01:
        raise RefusedInput(
            Refusal.FRAME_RATE,
            f"The video has {measured:.0f} pictures a second; at most {limits.max_frame_rate:.0f} are allowed.",
        )
    return output_rate(Fraction(measured).limit_denominator(100_000), variable=variable), variable


def _steady_rate(mean: float, typical: float) -> float:
    """Pictures a second of a steady source. The mean sees 29.97 where coarse timestamps say 30; a picture lost in
    capture spoils the mean, and then the typical step is right if it is a standard one.
    """
    if abs(mean / typical - 1) < 0.005:
        return mean
    if any(abs(typical - std) < std * 0.004 for std in STANDARD_RATES) or abs(mean / typical - 1) > 0.02:
        return typical
    return mean


def _check_whole(stream: VideoStream, found_s: float) -> None:
    """An upload that was cut short still has its table of contents: compare what it promises with what is there."""
    if stream.duration is None or stream.time_base is None:
        return
    promised_s = float(stream.duration * stream.time_base)
    if found_s < promised_s * MIN_WHOLE:
        raise RefusedInput(
            Refusal.DAMAGED,
            f"The file is cut short: {found_s:.1f} of {promised_s:.1f} s can be read. Upload it again, whole.",
        )


def _check_duration(duration_s: float, limits: Limits) -> None:
    longest = limits.max_duration_s * limits.source_duration_factor
    if duration_s > longest:
        raise RefusedInput(
            Refusal.TOO_LONG, f"The video lasts {duration_s / 60:.1f} min; at most {longest / 60:.0f} min can be used."
        )


def _describe(
    container: InputContainer,
    descriptor: int,
    stream: VideoStream,
    sound: AudioStream | None,
    first: VideoFrame,
    rate: Fraction,
    variable: bool,
    duration_s: float,
    pictures: NDArray[np.float64],
) -> SourceInfo:
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if not Fraction(1, 8) <= aspect <= 8 or abs(aspect - 1) < Fraction(1, 100):  # absurd, or rounding of a scaler
        aspect = Fraction(1)
    rotation = -round(first.rotation / 90) * 90 % 360
    width, height = _square(first.width, first.height, aspect)
    if rotation in (90, 270):
        width, height = height, width
    return SourceInfo(
        container=container.format.name,
        video_codec=stream.codec_context.codec.canonical_name,
        audio_codec=sound.codec_context.codec.canonical_name if sound else None,
        width=width,
        height=height,
        coded_width=first.width,
        coded_height=first.height,
        rotation=rotation,
        sample_aspect=f"{aspect.numerator}:{aspect.denominator}",
        frame_rate=float(rate),
        source_frame_rate=(pictures.size - 1) / float(pictures[-1] - pictures[0]) if pictures.size > 1 else 0.0,
        variable_frame_rate=variable,
        duration_s=duration_s,
        hdr=_HDR_TRANSFERS.get(int(first.color_trc)),
        interlaced=bool(first.interlaced_frame),
        audio_channels=sound.codec_context.channels if sound else 0,
        size_bytes=os.fstat(descriptor).st_size,
    )


def _square(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Size with square pixels that keeps every coded line: the wider of the two ways to stretch never loses detail."""
    if aspect >= 1:
        return round(width * aspect), height
    return width, round(height / aspect)
