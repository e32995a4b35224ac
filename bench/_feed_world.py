"""What the feed is measured on: vectors with structure, the catalogue port over columns, and a snapshot of both."""

from __future__ import annotations

import os
import resource
import time
from collections import OrderedDict
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from foundation.wire.catalogue import CatalogueChange, CatalogueItem, Creator
from inference.feed.columns import FeedColumns, NewVideo
from tests import catalogue_items

NOW_S = 1_790_000_000.0


def make_vectors(count: int, *, seed: int = 0) -> NDArray[np.float32]:
    """(count, 256) unit rows around 2,000 topics in a 48-d subspace plus noise: neither random nor easy."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((2000, 48)).astype(np.float32)
    plane = np.linalg.qr(rng.standard_normal((256, 48)))[0].T.astype(np.float32)
    made = np.empty((count, 256), np.float32)
    for start in range(0, count, 50_000):
        size = min(50_000, count - start)
        hidden = centres[rng.integers(2000, size=size)] + 0.7 * rng.standard_normal((size, 48), dtype=np.float32)
        hidden /= np.linalg.norm(hidden, axis=1)[:, None]
        rows = hidden @ plane + 0.6 / 16 * rng.standard_normal((size, 256), dtype=np.float32)
        made[start : start + size] = rows / np.linalg.norm(rows, axis=1)[:, None]
    return made


def resident_mib(process_id: int | None = None) -> float:
    """Of this process, or of another; memory that is shared counts in each."""
    pages = int(Path(f"/proc/{process_id or 'self'}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def process_cpu_s(process_id: int | None) -> float:
    """CPU seconds a process has used, to a hundredth; 0 without one."""
    if process_id is None:
        return 0.0
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class TemplateCatalogue:
    """The catalogue port over columns, with one manifest for all: a million journals are not what is measured.

    As in the replica the last 4,096 items stay decoded and any other is decoded from its JSON when it is asked for.
    """

    def __init__(self, columns: FeedColumns) -> None:
        self.columns = columns
        self._json = msgspec.json.encode(_template())
        self._decode = msgspec.json.Decoder(CatalogueItem).decode
        self._decoded: OrderedDict[int, CatalogueItem] = OrderedDict()

    def item(self, video_id: int) -> CatalogueItem | None:
        item = self._decoded.get(video_id)
        if item is None:
            row = self.columns.row_of.get(video_id)
            if row is None:
                return None
            creator = str(int(self.columns.creator_id[row]))
            item = msgspec.structs.replace(
                self._decode(self._json),
                id=str(video_id),
                creator=Creator(id=creator, username=f"user{creator}", display_name="User"),
            )
            self._decoded[video_id] = item
            if len(self._decoded) > 4096:
                self._decoded.popitem(last=False)
        return item

    def counters(self, video_id: int) -> CatalogueChange | None:
        return None


def _template() -> CatalogueItem:
    lines = "".join(f"#EXTINF:2,\n#EXT-X-BYTERANGE:150000@{n * 150_000}\n360p.mp4\n" for n in range(10))
    item = catalogue_items.video(1, title="A title of usual length for a short video", hashtags=("one", "two"))
    manifest = msgspec.structs.replace(
        item.manifest,
        renditions=item.manifest.renditions * 4,
        start_playlist=f'#EXTM3U\n#EXT-X-MAP:URI="360p.mp4",BYTERANGE="900@0"\n{lines}',
        thumbhash="1QcSHQRnh493V4dIh4eXh1h4kJUI",
    )
    return msgspec.structs.replace(item, manifest=manifest)


def fill(columns: FeedColumns, vectors: NDArray[np.float32]) -> float:
    """Rows per second of applying adds."""
    rng = np.random.default_rng(1)
    ages, lengths = rng.random(len(vectors)) * 6.5 * 86_400, np.exp(rng.normal(3.3, 0.8, len(vectors)))
    started = time.perf_counter()
    for number, vector in enumerate(vectors):
        columns.put(
            NewVideo(
                video_id=number + 1,
                creator_id=1 + number % max(len(vectors) // 8, 1),
                sound_id=number % 5000,
                published_s=NOW_S - ages[number],
                duration_s=float(lengths[number]),
                hashtags=(number % 2000 + 1,),
                vector=vector,
            )
        )
    return len(vectors) / (time.perf_counter() - started)


def vectors_of(count: int, folder: Path | None) -> NDArray[np.float32]:
    """`make_vectors`, kept in `folder` when one is given."""
    if folder is None:
        return make_vectors(count)
    path = folder / f"vectors-{count}.npy"
    if not path.exists():
        np.save(path, make_vectors(count))
    return np.asarray(np.load(path), np.float32)
