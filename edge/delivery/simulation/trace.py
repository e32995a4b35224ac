"""Traces: one use of one object (here: a slice) after another."""

from __future__ import annotations

import csv
import gzip
import random
from bisect import bisect
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from edge.delivery.store.layout import Layout
from foundation.errors import BadInput
from foundation.settings import KIB, MIB


class Use(NamedTuple):
    """A request for `size` bytes of `key` at second `at_s`. A key ending in `#0` is a prefix or a small object."""

    at_s: float
    key: str
    size: int


def read_trace(path: Path) -> Iterator[Use]:
    """Lines `time,key,size`, gzipped if the name ends in .gz; a header line is skipped. Raises BadInput."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            try:
                yield Use(float(row[0]), row[1], int(row[2]))
            except (ValueError, IndexError) as err:
                if number > 1:
                    raise BadInput(f"{path}:{number}: a line is time,key,size") from err


def write_trace(path: Path, uses: Iterable[Use]) -> int:
    """The inverse of `read_trace`; returns the number of uses."""
    count = 0
    with gzip.open(path, "wt") as file:
        for use in uses:
            file.write(f"{use.at_s:.3f},{use.key},{use.size}\n")
            count += 1
    return count


def distinct_bytes(uses: Iterable[Use]) -> int:
    """Size of the cache that would never evict."""
    return sum({use.key: use.size for use in uses}.values())


# -- a synthetic short-video trace -----------------------------------------------------------------------------------

DAY_S = 86_400.0
LAYOUT = Layout(256 * KIB, MIB)
_PLAYLIST_BYTES = 1_800
_POSTER_BYTES = 24_000
_BYTES_PER_S = 190_000
"""About 1.5 Mbit/s: the middle of a 360p-720p ladder."""


class _Catalogue:
    """Videos by birth: some there at the start, the rest published over the day."""

    def __init__(self, rng: random.Random, videos: int) -> None:
        self.born_s = sorted(rng.uniform(-7 * DAY_S, DAY_S) for _ in range(videos))
        self.fame = [rng.paretovariate(0.9) for _ in range(videos)]
        self.size = [int(_BYTES_PER_S * min(60.0, max(4.0, rng.lognormvariate(2.64, 0.55)))) for _ in range(videos)]
        """Median length 14 s, as short-video services report."""

    def popularity(self, now_s: float) -> list[float]:
        """Running sums of fame, faded with a half-life of a day and a half; unborn videos weigh nothing."""
        weights = (
            fame * 0.5 ** ((now_s - born) / (1.5 * DAY_S)) if born <= now_s else 0.0
            for fame, born in zip(self.fame, self.born_s, strict=True)
        )
        return list(accumulate(weights))


def short_video_trace(*, requests: int, videos: int = 20_000, seed: int = 1) -> Iterator[Use]:
    """A day of one PoP, about `requests` uses.

    A viewing is playlist, poster and prefix, then as many slices as are watched: 45 % swipe away within the prefix, the
    rest leave at a uniform point or stay to the end (a third, of whom some loop from memory). One prefix in four is
    fetched ahead by the feed and never watched. Popularity is heavy-tailed and fades, new videos appear all day.
    """
    rng = random.Random(seed)
    catalogue = _Catalogue(rng, videos)
    made, hour = 0, -1
    sums: list[float] = []
    while made < requests:
        now_s = DAY_S * made / requests
        if int(now_s / 1800) != hour:
            hour = int(now_s / 1800)
            sums = catalogue.popularity(now_s)
        video = bisect(sums, rng.random() * sums[-1])
        for use in _viewing(rng, f"v{video}", catalogue.size[video], now_s):
            made += 1
            yield use


def _viewing(rng: random.Random, name: str, size: int, now_s: float) -> Iterator[Use]:
    yield Use(now_s, f"{name}.m3u8#0", _PLAYLIST_BYTES)
    yield Use(now_s, f"{name}.webp#0", _POSTER_BYTES)
    yield Use(now_s, f"{name}.mp4#0", min(size, LAYOUT.prefix_bytes))
    if rng.random() < 0.25:  # fetched ahead, not watched
        return
    if rng.random() < 0.45:
        return
    watched = size if rng.random() < 0.6 else int(size * rng.random())
    for index in range(1, LAYOUT.count(max(watched, 1))):
        span = LAYOUT.span(index, size)
        yield Use(now_s + span.start / _BYTES_PER_S, f"{name}.mp4#{index}", span.size)
