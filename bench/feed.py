"""`python -m bench.feed [--videos N] [--seconds S] [--snapshot DIR]`: the feed of one PoP at size, against peers.

In one process: an index over N x 256 vectors (memory, build, load, recall@500 with filters on), pages through
`Feed.page` on a real Valkey at 1, 8 and 32 concurrent viewers who never pause, 8 who watch what they get, the cost of
a page without reports and of reports without pages, cycles through the server of a PoP, the time from a watch to a
changed page, and catalogue changes applied while serving. Peers: the usual first version (one running mean, one
search, order by dot product) and exact search. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: two threads make small products slower
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import uvloop
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from bench._feed_http import NEW_SESSION_EVERY, cycles_over_http
from bench._feed_world import NOW_S, TemplateCatalogue, fill, make_vectors, process_cpu_s, resident_mib, vectors_of
from edge.catalogue.replica import APPLYING_S
from edge.feed.ports import NoDelivery, NoUserContext, Viewer
from edge.feed.service import Feed
from edge.feed.settings import FeedSettings
from foundation.tasks import TurnShare
from foundation.wire.events import WatchReport
from foundation.wire.feed import FeedPage
from inference.feed.columns import FeedColumns, NewVideo
from inference.feed.row_index import RowIndex
from inference.feed.vector_index import ExactIndex, FaissHnswIndex, FaissIvfIndex, VectorIndex, best
from popreel.embedded.ports import free_ports
from popreel.embedded.valkey import EmbeddedValkey

K = 500


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


@dataclass
class Load:
    """What came of serving for a while; times in seconds."""

    pages: list[float] = field(default_factory=list)
    reports: list[float] = field(default_factory=list)

    def figures(self, *, wall_s: float, cpu_s: float) -> dict[str, float]:
        return {
            "pages": len(self.pages),
            "p50_ms": _ms(self.pages, 0.5),
            "p99_ms": _ms(self.pages, 0.99),
            "report_p50_ms": _ms(self.reports, 0.5),
            "report_p99_ms": _ms(self.reports, 0.99),
            "pages_per_s": round(len(self.pages) / wall_s, 1),
            "pages_per_cpu_s": round(len(self.pages) / cpu_s, 1),
        }


def _ms(times: list[float], quantile: float) -> float:
    return round(float(np.quantile(times, quantile)) * 1000, 2)


def cpu_s(feed: Feed) -> float:
    """CPU time of the PoP's process and of its list process, seconds."""
    return time.process_time() + process_cpu_s(feed.ranking.process_id)


def lists_made(registry: CollectorRegistry) -> float:
    kinds = ("anew", "reordered", "behind")
    return sum(registry.get_sample_value("feed_lists_total", {"kind": kind}) or 0 for kind in kinds)


class Player:
    """One viewer: a page of 20, one report with two watches of it, the next page ...; every fifth page begins anew."""

    def __init__(self, feed: Feed, viewer: Viewer, load: Load) -> None:
        self._feed = feed
        self._viewer = viewer
        self._load = load
        self._cursor: str | None = None
        self._turns = 0

    async def turn(self) -> None:
        await self.report(await self.page())

    async def page(self) -> FeedPage:
        self._turns += 1
        before = time.perf_counter()
        page = await self._feed.page(self._viewer, count=20, cursor=self._cursor)
        self._load.pages.append(time.perf_counter() - before)
        assert len(page.videos) == 20, (len(page.videos), page.is_fallback)
        self._cursor = page.next_cursor if self._turns % NEW_SESSION_EVERY else None
        return page

    async def report(self, page: FeedPage) -> None:
        reports = [
            WatchReport(
                video_id=item.id,
                watch_duration=15_000,
                total_duration=20_000,
                event_id=uuid.uuid4().hex,
                impression=item.impression,
            )
            for item in page.videos[:2]
        ]
        before = time.perf_counter()
        await self._feed.record(self._viewer, reports)
        self._load.reports.append(time.perf_counter() - before)


async def costs(feed: Feed, *, seconds: float, taught: list[str]) -> dict[str, Any]:
    """What each part costs, in CPU of the whole process, one request at a time over 64 viewers.

    `feed_requests_alone`: nobody reports, so a page is ranked when a session begins and otherwise comes from the tail.
    `cycles`: a page, then a report of two named watches, so that every page is ranked again. `reports_alone`: reports
    of two named watches without a page in between.
    """
    load = Load()
    players = [Player(feed, Viewer(id=name), load) for name in taught]
    pages = [await player.page() for player in players]

    async def report(number: int) -> None:
        await players[number].report(pages[number])

    async def page(number: int) -> None:
        await players[number].page()

    async def cycle(number: int) -> None:
        await players[number].turn()

    figures: dict[str, Any] = {}
    parts: dict[str, Callable[[int], Awaitable[None]]]
    parts = {"feed_requests_alone": page, "cycles": cycle, "reports_alone": report}
    for name, work in parts.items():
        done, cpu, started = 0, cpu_s(feed), time.perf_counter()
        while time.perf_counter() < started + seconds:
            await work(done % len(players))
            done += 1
        cpu = cpu_s(feed) - cpu
        figures[name] = {"per_cpu_s": round(done / cpu, 1), "cpu_ms": round(cpu / done * 1000, 3)}
    figures["reports_alone"]["events_per_cpu_s"] = round(2 * figures["reports_alone"]["per_cpu_s"], 1)
    return figures


async def pages_watched(
    feed: Feed, *, viewers: int, pause_s: float, seconds: float, taught: list[str]
) -> dict[str, float]:
    """Viewers with think time: each watches for a random time (mean `pause_s`) between a page's report and the next
    page. A page of 20 lasts a person minutes; half a second is an impatient upper bound."""
    rng, load = np.random.default_rng(12), Load()
    cpu, started = cpu_s(feed), time.perf_counter()

    async def use(viewer: Viewer, pauses: NDArray[np.float64]) -> None:
        player = Player(feed, viewer, load)
        for pause in pauses:
            await asyncio.sleep(float(pause))
            if time.perf_counter() >= started + seconds:
                return
            await player.turn()

    most = int(10 * seconds / pause_s) + 10
    await asyncio.gather(*(use(Viewer(id=name), rng.exponential(pause_s, most)) for name in taught[:viewers]))
    figures = load.figures(wall_s=time.perf_counter() - started, cpu_s=cpu_s(feed) - cpu)
    return {"pause_s": pause_s, **figures}


async def pages_at(feed: Feed, *, viewers: int, seconds: float, taught: list[str]) -> dict[str, float]:
    """Closed loop: each viewer asks again the moment it is answered. Times are of `Feed.page` and `Feed.record`."""
    load = Load()
    cpu, started = cpu_s(feed), time.perf_counter()

    async def use(viewer: Viewer) -> None:
        player = Player(feed, viewer, load)
        while time.perf_counter() < started + seconds:
            await player.turn()

    await asyncio.gather(*(use(Viewer(id=taught[number % len(taught)])) for number in range(viewers)))
    return load.figures(wall_s=time.perf_counter() - started, cpu_s=cpu_s(feed) - cpu)


async def pages_arriving(feed: Feed, *, per_s: float, seconds: float, taught: list[str]) -> dict[str, float]:
    """Open loop: turns of random viewers arrive at random (Poisson) at a rate, however long the answers take."""
    rng, load = np.random.default_rng(8), Load()
    players = [Player(feed, Viewer(id=name), load) for name in taught]
    cpu, started = cpu_s(feed), time.perf_counter()
    due = started
    async with asyncio.TaskGroup() as turns:
        while due < started + seconds:
            due += float(rng.exponential(1 / per_s))
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            turns.create_task(players[int(rng.integers(len(players)))].turn())
    figures = load.figures(wall_s=time.perf_counter() - started, cpu_s=cpu_s(feed) - cpu)
    return {"arriving_per_s": per_s, **figures}


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
    """Adds applied as the replica does, in a share of each turn of the loop, while 8 viewers are served."""
    fresh, applied = make_vectors(20_000, seed=9), 0
    serving = asyncio.create_task(pages_at(feed, viewers=8, seconds=4, taught=taught))
    started = time.perf_counter()
    share = TurnShare(APPLYING_S)
    for number, vector in enumerate(fresh):
        columns.put(
            NewVideo(video_id=50_000_000 + number, creator_id=7, published_s=NOW_S, duration_s=20, vector=vector)
        )
        applied += 1
        await share.give_way()
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


async def measure(options: argparse.Namespace, valkey: EmbeddedValkey, folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = {"videos": options.videos, "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    vectors = vectors_of(options.videos, options.snapshot)
    columns = FeedColumns(space="content-1", capacity=options.videos + 30_000)
    before = resident_mib()
    report["columns"] = {"adds_per_s": round(fill(columns, vectors)), "mib": round(resident_mib() - before)}
    snapshots, index_figures = await asyncio.to_thread(indexed, columns, options.snapshot or folder)
    client, registry = Redis.from_url(valkey.endpoint), CollectorRegistry()
    started = time.perf_counter()
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
        registry=registry,
        index_dir=snapshots,
    )
    report["open_s"] = round(time.perf_counter() - started, 2)
    gc.collect()
    gc.freeze()  # as the PoP does when it begins to serve
    report["resident_mib"] = {"pop": round(resident_mib()), "lists": round(resident_mib(feed.ranking.process_id))}
    taught = await teach(feed, columns, 64)
    await pages_at(feed, viewers=8, seconds=1, taught=taught)
    for viewers in (1, 8, 32):
        lists_before = lists_made(registry)
        unranked_before = registry.get_sample_value("feed_pages_unranked_total") or 0
        figures = await pages_at(feed, viewers=viewers, seconds=options.seconds, taught=taught)
        unranked = (registry.get_sample_value("feed_pages_unranked_total") or 0) - unranked_before
        lists = lists_made(registry) - lists_before
        report[f"feed_{viewers}"] = {
            **figures,
            "unranked_share": round(unranked / figures["pages"], 2),
            "lists_per_page": round(lists / figures["pages"], 2),
        }
    report["costs"] = await costs(feed, seconds=options.seconds, taught=taught)
    report["watching_8"] = await pages_watched(feed, viewers=8, pause_s=0.5, seconds=3 * options.seconds, taught=taught)
    report |= await cycles_over_http(feed, viewers=(1, 8), seconds=options.seconds)
    for per_s in (50, 100, 200):
        report[f"arriving_{per_s}"] = await pages_arriving(feed, per_s=per_s, seconds=options.seconds, taught=taught)
    report["watch_to_page"] = await watch_to_page_ms(feed)
    report["events_per_s"] = await events_per_s(feed, options.seconds / 2)
    report["while_changing"] = await changes_while_serving(feed, columns, taught)
    await feed.close()
    await client.aclose()
    built, more = loaded(snapshots, columns.space)
    report["index"] = {**index_figures, **more, **judge_index(built, vectors)}
    if options.hnsw_rows:
        report["peers"] = peers(vectors, built, options.hnsw_rows)
    return report


def indexed(columns: FeedColumns, folder: Path) -> tuple[Path, dict[str, Any]]:
    """A snapshot of the index for the list process to start with, and its figures; kept if the folder has one."""
    snapshots, figures = folder / f"feed-index-{columns.count}", dict[str, Any]()
    if not snapshots.exists():
        before, started = resident_mib(), time.perf_counter()
        RowIndex(columns, snapshot=snapshots / columns.space).rebuild()
        figures = {"build_s": round(time.perf_counter() - started, 1), "build_mib": round(resident_mib() - before)}
    return snapshots, figures


def loaded(snapshots: Path, space: str) -> tuple[FaissIvfIndex, dict[str, Any]]:
    """The index in this process too, to be judged."""
    before, started = resident_mib(), time.perf_counter()
    index = FaissIvfIndex.load(snapshots / space / "index")
    figures = {"load_s": round(time.perf_counter() - started, 2), "mib": round(resident_mib() - before)}
    return index, {**figures, "lists": index.effort[0], "survivors": index.effort[1]}


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
        "seed_path_hnsw_part_cpu_ms": seed_path_ms(hnsw, part),
        "exact": exact,
        "hnsw_part": hnsw_figures,
        "ivf_part": ivf_figures,
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--hnsw-rows", type=int, default=50_000, help="0 leaves the peers out")
    parser.add_argument("--snapshot", type=Path, help="folder that keeps vectors and index for the next run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        valkey = EmbeddedValkey(
            data_dir=Path(folder) / "valkey", log_file=Path(folder) / "valkey.log", port=free_ports(1)[0]
        )
        await valkey.start()
        await valkey.ready()
        try:
            report = await measure(options, valkey, Path(folder))
        finally:
            await valkey.stop()
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    uvloop.run(main())
