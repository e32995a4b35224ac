"""H.264 and AAC as MP4 holds them: length-prefixed NAL units, avcC, esds, and their RFC 6381 names."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from packager.mp4.boxes import box, full_box

_SPS, _PPS, _IDR = 7, 8, 5


def nal_units(annex_b: bytes) -> Iterator[bytes]:
    """NAL units of an Annex B stream (start codes of 3 or 4 bytes; trailing zero bytes belong to none)."""
    pieces = annex_b.split(b"\x00\x00\x01")
    for piece in pieces[1:]:
        unit = piece.rstrip(b"\x00")
        if unit:
            yield unit


def length_prefixed(annex_b: bytes) -> bytes:
    """Annex B to 4-byte lengths, without parameter sets (they live in avcC)."""
    return b"".join(
        struct.pack(">I", len(unit)) + unit for unit in nal_units(annex_b) if unit[0] & 31 not in (_SPS, _PPS)
    )


def avcc(extradata: bytes) -> bytes:
    """AVCDecoderConfigurationRecord (14496-15 section 5.3.3) from Annex B parameter sets."""
    units = list(nal_units(extradata))
    sps = [unit for unit in units if unit[0] & 31 == _SPS]
    pps = [unit for unit in units if unit[0] & 31 == _PPS]
    if not sps or not pps:
        raise ValueError("the encoder gave no parameter sets")
    profile, compatibility, level = sps[0][1:4]
    record = bytes([1, profile, compatibility, level, 0xFF, 0xE0 | len(sps)])
    record += b"".join(struct.pack(">H", len(unit)) + unit for unit in sps)
    record += bytes([len(pps)]) + b"".join(struct.pack(">H", len(unit)) + unit for unit in pps)
    if profile in (100, 110, 122, 144):  # high profiles: 4:2:0, 8 bit luma and chroma, no SPS extensions
        record += bytes([0xFC | 1, 0xF8, 0xF8, 0])
    return record


def avc_codec(record: bytes) -> str:
    """RFC 6381 name of an avcC record: "avc1." + profile, constraints, level in hex."""
    return f"avc1.{record[1:4].hex()}"


def esds(audio_config: bytes, *, bit_rate: int) -> bytes:
    """The esds box (14496-1) around an AudioSpecificConfig."""

    def descriptor(tag: int, *parts: bytes) -> bytes:
        payload = b"".join(parts)
        return bytes([tag, len(payload)]) + payload

    decoder = descriptor(
        4,
        bytes([0x40, 0x15]),
        (6144).to_bytes(3, "big"),
        struct.pack(">II", bit_rate, bit_rate),
        descriptor(5, audio_config),
    )
    return full_box(b"esds", 0, 0, descriptor(3, b"\x00\x00\x00", decoder, descriptor(6, b"\x02")))


def aac_codec(audio_config: bytes) -> str:
    """RFC 6381 name from the object type in the first 5 bits of an AudioSpecificConfig."""
    return f"mp4a.40.{audio_config[0] >> 3}"


def avcc_box(record: bytes) -> bytes:
    return box(b"avcC", record)
