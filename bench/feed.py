"""`python -m bench.feed [--videos N] [--seconds S]`: the feed of one PoP at size, against its peers in the same run.

In one process: an index over N x 256 vectors (memory, build, load, recall@500 with filters on), pages through
`Feed.page` on a real Valkey at 1, 8 and 32 concurrent viewers, watch events, the time from a watch to a changed page,
and catalogue changes applied while serving. Peers: the usual first version (one running mean, one search, order by
dot product) and exact search. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: two threads make small products slower
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import uvloop
from numpy.typing import NDArray
from redis.asyncio import Redis

from edge.feed.ports import NoDelivery, NoUserContext, Viewer
from edge.feed.service import Feed
from edge.feed.settings import FeedSettings
from foundation.wire.catalogue import CatalogueChange, CatalogueItem, Creator
from foundation.wire.events import WatchReport
from foundation.wire.media import MediaManifest, Rendition
from inference.feed.columns import FeedColumns, NewVideo
from inference.feed.vector_index import ExactIndex, FaissHnswIndex, FaissIvfIndex, VectorIndex, best
from popreel.embedded.ports import free_ports
from popreel.embedded.valkey import EmbeddedValkey

NOW_S = 1_790_000_000.0
K = 500


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


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


class TemplateCatalogue:
    """The catalogue port over columns, with one manifest for all: a million journals are not what is measured."""

    def __init__(self, columns: FeedColumns) -> None:
        self.columns = columns
        rung = Rendition(
            name="360p",
            width=360,
            height=640,
            frame_rate=30,
            codecs="avc1.64001e,mp4a.40.2",
            bandwidth_bps=800_000,
            average_bandwidth_bps=600_000,
            size_bytes=1_000_000,
            init_bytes=900,
            prefix_bytes=90_000,
        )
        lines = "".join(f"#EXTINF:2,\n#EXT-X-BYTERANGE:150000@{n * 150_000}\n360p.mp4\n" for n in range(10))
        self._manifest = MediaManifest(
            duration_ms=20_000,
            width=360,
            height=640,
            frame_rate=30,
            has_audio=True,
            renditions=(rung, rung, rung, rung),
            start_playlist=f'#EXTM3U\n#EXT-X-MAP:URI="360p.mp4",BYTERANGE="900@0"\n{lines}',
            thumbhash="1QcSHQRnh493V4dIh4eXh1h4kJUI",
        )

    def item(self, video_id: int) -> CatalogueItem | None:
        row = self.columns.row_of.get(video_id)
        if row is None:
            return None
        creator = str(int(self.columns.creator_id[row]))
        return CatalogueItem(
            id=str(video_id),
            creator=Creator(id=creator, username=f"user{creator}", display_name="User"),
            title="A title of usual length for a short video",
            hashtags=("one", "two"),
            created_at_ms=0,
            published_at_ms=0,
            revision=1,
            manifest=self._manifest,
        )

    def counters(self, video_id: int) -> CatalogueChange | None:
        return None


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


def judge_index(index: VectorIndex, vectors: NDArray[np.float32], *, queries: int = 60) -> dict[str, float]:
    """Recall@500 and time, without and with a filter that leaves half of the rows."""
    rng = np.random.default_rng(2)
    asked = vectors[rng.integers(len(vectors), size=queries)] + 0.5 * vectors[rng.integers(len(vectors), size=queries)]
    asked /= np.linalg.norm(asked, axis=1)[:, None]
    allowed = rng.random(len(vectors)) < 0.5
    figures: dict[str, float] = {}
    for name, mask in (("plain", None), ("filtered", allowed)):
        rows = np.arange(len(vectors)) if mask is None else np.flatnonzero(mask)
        hits, cpu_ms = [], []
        for query in asked:
            started = time.thread_time()
            found, _ = index.search(query, K, allowed=mask)
            cpu_ms.append((time.thread_time() - started) * 1000)
            truth, _ = best(rows, (vectors @ query)[rows], K)
            hits.append(len(np.intersect1d(truth, found)) / K)
        figures[f"recall_{name}"] = round(float(np.mean(hits)), 4)
        figures[f"cpu_ms_{name}"] = round(float(np.median(cpu_ms)), 3)
    return figures


async def pages_at(feed: Feed, *, viewers: int, seconds: float, taught: list[str]) -> dict[str, float]:
    """Each viewer: page, watch two of it, next page ... for a while. Times are of `Feed.page` alone."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    cpu, started = time.process_time(), time.perf_counter()

    async def use(viewer: Viewer) -> None:
        cursor = None
        while time.perf_counter() < end:
            before = time.perf_counter()
            page = await feed.page(viewer, count=20, cursor=cursor)
            times.append(time.perf_counter() - before)
            assert len(page.videos) == 20
            cursor = page.next_cursor
            reports = [
                WatchReport(video_id=item.id, watch_duration=15_000, total_duration=20_000) for item in page.videos[:2]
            ]
            await feed.record(viewer, reports)

    await asyncio.gather(*(use(Viewer(id=taught[number % len(taught)])) for number in range(viewers)))
    spent, wall = time.process_time() - cpu, time.perf_counter() - started
    return {
        "pages": len(times),
        "p50_ms": round(float(np.median(times)) * 1000, 2),
        "p99_ms": round(float(np.quantile(times, 0.99)) * 1000, 2),
        "pages_per_s": round(len(times) / wall, 1),
        "pages_per_cpu_s": round(len(times) / spent, 1),
    }


async def teach(feed: Feed, columns: FeedColumns, viewers: int) -> list[str]:
    """Viewers with a history of 40 watches each."""
    rng = np.random.default_rng(4)
    names = [f"d:bench-{number}" for number in range(viewers)]
    for name in names:
        rows = rng.integers(columns.count, size=40)
        reports = [
            WatchReport(video_id=str(row + 1), watch_duration=18_000, total_duration=20_000, liked=bool(row % 3 == 0))
            for row in rows.tolist()
        ]
        await feed.record(Viewer(id=name), reports)
    return names


async def watch_to_page_ms(feed: Feed) -> dict[str, float]:
    """From handing in a watch to holding the next page that was made with it."""
    times = []
    for number in range(60):
        viewer = Viewer(id=f"d:watch-{number}")
        page = await feed.page(viewer, count=10, cursor=None)
        started = time.perf_counter()
        await feed.record(
            viewer, [WatchReport(video_id=page.videos[0].id, watch_duration=20_000, total_duration=20_000, liked=True)]
        )
        await feed.page(viewer, count=10, cursor=page.next_cursor)
        times.append((time.perf_counter() - started) * 1000)
    return {"p50_ms": round(float(np.median(times)), 2), "p99_ms": round(float(np.quantile(times, 0.99)), 2)}


async def changes_while_serving(feed: Feed, columns: FeedColumns, taught: list[str]) -> dict[str, float]:
    """Adds applied in pieces of 50 (as the replica does) while 8 viewers are served."""
    fresh, applied = make_vectors(20_000, seed=9), 0
    serving = asyncio.create_task(pages_at(feed, viewers=8, seconds=4, taught=taught))
    started = time.perf_counter()
    for start in range(0, len(fresh), 50):
        for number in range(start, min(start + 50, len(fresh))):
            columns.put(
                NewVideo(
                    video_id=50_000_000 + number, creator_id=7, published_s=NOW_S, duration_s=20, vector=fresh[number]
                )
            )
            applied += 1
        await asyncio.sleep(0)
        if serving.done():
            break
    rate = applied / (time.perf_counter() - started)
    return {"changes_per_s": round(rate), **await serving}


async def events_per_s(feed: Feed, seconds: float) -> float:
    """Watch events taken in single reports by 8 viewers at once, per second."""
    count, end = 0, time.perf_counter() + seconds

    async def send(viewer: Viewer) -> None:
        nonlocal count
        number = 0
        while time.perf_counter() < end:
            number += 1
            report = WatchReport(video_id=str(number % 5000 + 1), watch_duration=9000, total_duration=20_000)
            await feed.record(viewer, [report])
            count += 1

    await asyncio.gather(*(send(Viewer(id=f"d:events-{number}")) for number in range(8)))
    return round(count / seconds)


def seed_path_ms(index: VectorIndex, vectors: NDArray[np.float32]) -> float:
    """The first version's page: running mean -> one search -> order by dot product. CPU ms, without any input or
    output."""
    rng = np.random.default_rng(6)
    mean = vectors[rng.integers(len(vectors), size=20)].mean(axis=0)
    allowed = np.ones(len(vectors), bool)
    times = []
    for _ in range(100):
        started = time.thread_time()
        rows, _ = index.search(mean, K, allowed=allowed)
        order = np.argsort(-(vectors[rows] @ mean))
        assert len(rows[order][:20]) == 20
        times.append((time.thread_time() - started) * 1000)
    return round(float(np.median(times)), 3)


async def measure(videos: int, seconds: float, valkey: EmbeddedValkey, folder: Path, hnsw_rows: int) -> dict[str, Any]:
    report: dict[str, Any] = {"videos": videos, "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    vectors = make_vectors(videos)
    columns = FeedColumns(space="content-1", capacity=videos + 30_000)
    before = resident_mib()
    report["columns"] = {"adds_per_s": round(fill(columns, vectors)), "mib": round(resident_mib() - before)}
    client = Redis.from_url(valkey.endpoint)
    feed = await Feed.open(
        FeedSettings(),
        valkey=client,
        catalogue=TemplateCatalogue(columns),
        delivery_port=NoDelivery(),
        clock=lambda: NOW_S,
        rng=np.random.default_rng(1),
        user_context=NoUserContext(),
        region="us-east",
        pop_id="bench",
    )
    before, started = resident_mib(), time.perf_counter()
    await asyncio.to_thread(feed.ranking.index.rebuild)
    built = feed.ranking.index.built
    assert isinstance(built, FaissIvfIndex)
    report["index"] = {"build_s": round(time.perf_counter() - started, 1), "mib": round(resident_mib() - before)}
    built.save(folder / "index")
    started = time.perf_counter()
    FaissIvfIndex.load(folder / "index")
    report["index"] |= {"load_s": round(time.perf_counter() - started, 2), "probes": built.probes}
    report["index"] |= judge_index(built, vectors)
    taught = await teach(feed, columns, 64)
    for viewers in (1, 8, 32):
        report[f"feed_{viewers}"] = await pages_at(feed, viewers=viewers, seconds=seconds, taught=taught)
    report["watch_to_page"] = await watch_to_page_ms(feed)
    report["events_per_s"] = await events_per_s(feed, seconds / 2)
    report["while_changing"] = await changes_while_serving(feed, columns, taught)
    report["peers"] = peers(vectors, built, hnsw_rows)
    await feed.close()
    await client.aclose()
    return report


def peers(vectors: NDArray[np.float32], built: FaissIvfIndex, hnsw_rows: int) -> dict[str, Any]:
    """The first version's path over the same index, exact search, and HNSW over as many rows as there is time to
    build."""
    exact = judge_index(ExactIndex(vectors), vectors, queries=10)
    part = vectors[:hnsw_rows]
    started = time.perf_counter()
    hnsw = FaissHnswIndex(part)
    hnsw_figures = {"rows": hnsw_rows, "build_s": round(time.perf_counter() - started, 1), **judge_index(hnsw, part)}
    started = time.perf_counter()
    ivf = FaissIvfIndex(part)
    ivf_figures = {"rows": hnsw_rows, "build_s": round(time.perf_counter() - started, 1), **judge_index(ivf, part)}
    return {
        "seed_path_cpu_ms": seed_path_ms(built, vectors),
        "exact": exact,
        "hnsw_part": hnsw_figures,
        "ivf_part": ivf_figures,
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--hnsw-rows", type=int, default=50_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        valkey = EmbeddedValkey(
            data_dir=Path(folder) / "valkey", log_file=Path(folder) / "valkey.log", port=free_ports(1)[0]
        )
        await valkey.start()
        await valkey.ready()
        try:
            report = await measure(options.videos, options.seconds, valkey, Path(folder), options.hnsw_rows)
        finally:
            await valkey.stop()
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    uvloop.run(main())
