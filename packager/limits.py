"""What an input may be. Everything beyond is refused with a reason, most of it before a frame is decoded."""

from __future__ import annotations

import msgspec

GIB = 1 << 30


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on an input and on the encoder child. The defaults suit phones' clips of up to 10 minutes."""

    max_bytes: int = 4 * GIB
    min_duration_s: float = 0.2
    max_duration_s: float = 600.0
    """Of the result, after trim and speed; a source may be `source_duration_factor` times longer when it is trimmed."""
    source_duration_factor: float = 3.0
    min_edge: int = 16
    max_edge: int = 8192
    max_pixels: int = 4096 * 2304
    """Of one coded frame: 4K passes, a 16k x 16k bomb does not."""
    max_frame_rate: float = 240.0
    max_frames: int = 600 * 120
    """Decoded frames in all: bounds the work a file can ask for whatever its timestamps claim."""
    max_streams: int = 16
    memory_bytes: int = 4 * GIB
    """Address space of the encoder child (RLIMIT_AS): twice what a large clip needs. Raise with max_pixels."""
    frame_memory_bytes: int = 3 * GIB // 2
    """Decoded pictures that wait in memory for the upper rungs, cut to a quarter of the free memory. 0: none wait, on
    disk neither, and all are decoded twice."""
    frame_disk_bytes: int = 8 * GIB
    """Decoded pictures that find no room in memory, in the scratch folder: cut to a quarter of the free space, none
    where that is memory too (tmpfs). What finds no room here either is decoded again. 0: all of that."""
    max_output_bytes: int = 2 * GIB
    """Largest single file the child may write (RLIMIT_FSIZE)."""
    threads: int = 0
    """Processors the child may use; 0: all it is allowed to run on."""
