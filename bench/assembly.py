"""`python -m bench.assembly [--pictures N] [--rounds N]`: what encoding costs with the instructions we let x264 use.

The peer, in turn in the same process and on the same pictures: x264 with all this processor has (`asm=auto`). On one
without AVX-512 both are the same. Why we leave AVX-512 out: docs/decisions/0107-no-avx512.md.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import time
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av

from packager.encoder.assembly import AUTO, assembly, processor_features
from packager.encoder.rung_encoder import h264_encoder
from packager.encoder.shape import BT709
from packager.ladder import Rung, rungs_of
from popreel.demo_clips import clip_path

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "media"
SIZES = ((1920, 1080), (1080, 1920))
"""Upright pictures are the same ones, squeezed: there is as much in them."""


def pictures_of(source: Path, rung: Rung) -> list[av.VideoFrame]:
    with av.open(str(source)) as container:
        decoded = itertools.islice(container.decode(video=0), rung.total_frames)
        return [
            _on_grid(picture.reformat(rung.width, rung.height, "yuv420p"), at) for at, picture in enumerate(decoded)
        ]


def _on_grid(picture: av.VideoFrame, place: int) -> av.VideoFrame:
    picture.pts, picture.time_base, picture.pict_type = place, Fraction(1, 30), 0
    return picture


def encode(rung: Rung, pictures: Iterable[av.VideoFrame], instructions: str) -> tuple[float, int]:
    """(processor seconds, bytes) of one encoding, with one thread."""
    encoder = h264_encoder(rung, BT709, threads=1, assembly=instructions)
    start = time.process_time()
    size = sum(packet.size for picture in (*pictures, None) for packet in encoder.encode(picture))
    return time.process_time() - start, size


def compare(rung: Rung, pictures: Sequence[av.VideoFrame], ours: str, *, rounds: int) -> str:
    ratios, sizes = [], (0, 0)
    for _ in range(rounds):
        (mine_s, mine), (peer_s, peer) = encode(rung, pictures, ours), encode(rung, pictures, AUTO)
        ratios.append(mine_s / peer_s)
        sizes = mine, peer
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    return (
        f"{rung.width:>4}x{rung.height:<4}  CPU {ours}/{AUTO} {statistics.median(ratios):.3f} ({spread})"
        f"  bytes {sizes[0]} / {sizes[1]} = {sizes[0] / sizes[1]:.4f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=90)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    ours = assembly(processor_features())
    source = asyncio.run(clip_path("hd-15s", CACHE))
    for width, height in SIZES:
        for rung in rungs_of(width, height, Fraction(30), given.pictures):
            print(compare(rung, pictures_of(source, rung), ours, rounds=given.rounds), flush=True)


if __name__ == "__main__":
    main()
