"""Second pass: gain, limiter, AAC. The packets are made once and muxed into every rung."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
from av.audio.codeccontext import AudioCodecContext
from av.codec.context import Flags

from packager.ladder import AUDIO_BPS
from packager.mp4.init_segment import AudioTrack
from packager.sound.chain import RATE, Stereo, as_frame, pulled, sound_graph
from packager.sound.loudness import CEILING_DBTP

FRAME_SAMPLES = 1024
PRIMING_SAMPLES = 1024
"""Delay of FFmpeg's AAC encoder: what goes in first comes out one frame later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AacSound:
    """AAC frames of 1024 samples at 48 kHz; frame n begins at n * 1024 / 48000 s."""

    track: AudioTrack
    frames: tuple[bytes, ...]


def encode_aac(blocks: Iterable[Stereo], *, gain_db: float) -> AacSound:
    """Encode 48 kHz stereo blocks after `gain_db` and a true-peak-safe limiter. CPU-bound.

    The first PRIMING_SAMPLES of sound are dropped: then the encoder's delay puts every later sample exactly at its own
    time, and neither an edit list nor a negative timestamp is needed. The cost is 21 ms of sound at the very start.
    """
    encoder = _encoder()
    fifo = av.AudioFifo()
    frames: list[bytes] = []
    at_sample, total = 0, 0
    for block in levelled(_without_first(blocks, PRIMING_SAMPLES), gain_db):
        fifo.write(as_frame(block, at_sample))
        at_sample += block.shape[1]
        while (chunk := fifo.read(FRAME_SAMPLES)) is not None:
            frames += [bytes(packet) for packet in encoder.encode(chunk)]
    if (rest := fifo.read(0, True)) is not None:
        frames += [bytes(packet) for packet in encoder.encode(rest)]
    frames += [bytes(packet) for packet in encoder.encode(None)]
    total = -(-(at_sample + PRIMING_SAMPLES) // FRAME_SAMPLES)
    config = encoder.extradata
    assert config is not None
    track = AudioTrack(sample_rate=RATE, channels=2, config=bytes(config), bit_rate=AUDIO_BPS)
    return AacSound(track=track, frames=tuple(frames[:total]))


def _encoder() -> AudioCodecContext:
    encoder = av.CodecContext.create("aac", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate = RATE
    encoder.layout = "stereo"
    encoder.format = "fltp"
    encoder.bit_rate = AUDIO_BPS
    encoder.time_base = Fraction(1, RATE)
    encoder.flags |= Flags.global_header
    encoder.open()
    return encoder


def _without_first(blocks: Iterable[Stereo], samples: int) -> Iterator[Stereo]:
    for block in blocks:
        if samples < block.shape[1]:
            yield block[:, samples:]
        samples = max(0, samples - block.shape[1])


def levelled(blocks: Iterable[Stereo], gain_db: float) -> Iterator[Stereo]:
    """Gain, then a look-ahead limiter 1 dB below CEILING_DBTP (it sees sample peaks; AAC adds a little)."""
    ceiling = 10 ** ((CEILING_DBTP - 0.5) / 20)
    graph = sound_graph(
        [
            ("volume", f"{gain_db:.3f}dB:precision=float"),
            ("alimiter", f"limit={ceiling:.6f}:level=disabled:attack=5:release=50:latency=1"),
            ("aformat", "sample_fmts=fltp"),
        ]
    )
    at_sample = 0
    for block in blocks:
        graph.push(as_frame(block, at_sample))
        at_sample += block.shape[1]
        yield from pulled(graph)
    graph.push(None)
    yield from pulled(graph)
