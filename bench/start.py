"""Play and swipe to first frame in headless Chromium, against peers in the same run: `python -m bench.start`.

Variants, per link (unthrottled, 5 Mbit/s + 50 ms, 1.5 Mbit/s + 80 ms; Chromium's own emulation):

    app, swipe      the web app on a PoP warmed by the feed, a swipe every few seconds: the next clip was prepared
    app, quick      the same, 0.7 s after each first frame
    app, hurried    the same, swiping as soon as a picture is there: nothing was prepared, only the PoP is warm
    app, cold PoP   the same player, a PoP whose cache was emptied and that served no feed
    hls.js          its defaults on the master playlist, the same warm PoP
    mp4, nginx      a plain video element on the first rung's file from nginx

    python -m bench.start [--clips 30] [--dwell-s 2.5] [--links free 5m 1.5m] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from bench._start_clips import PER_CREATOR, cut_clips, upload
from bench._start_pages import Link, Start, Watching, page_on, start_each, swipe_through
from popreel import web_build
from popreel.embedded.ports import free_ports
from popreel.lab.throwaway import ThrowawayPlatform

LINKS = {
    "free": Link(name="unthrottled", rate_bps=0, delay_ms=0),
    "5m": Link(name="5 Mbit/s, 50 ms", rate_bps=5_000_000, delay_ms=50),
    "1.5m": Link(name="1.5 Mbit/s, 80 ms", rate_bps=1_500_000, delay_ms=80),
}
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
HURRIED_S, QUICK_S = 0.05, 0.7
_HLS_JS = Path(__file__).resolve().parent.parent / "web" / "node_modules" / "hls.js" / "dist" / "hls.min.js"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    link: str
    variant: str
    starts: int
    median_ms: int
    p95_ms: int
    moving_p95_ms: int
    """To the first frame after the first: the picture moves."""
    warmed: int
    """Of the starts, how many found their first fragment in the player."""
    fetched_ahead_kb: int = 0
    unused_ahead_kb: int = 0


def row(link: Link, variant: str, starts: Iterable[Start], watching: Watching | None = None) -> Row:
    found = list(starts)
    times = sorted(start.ms for start in found)
    return Row(
        link=link.name,
        variant=variant,
        starts=len(times),
        median_ms=round(statistics.median(times)) if times else -1,
        p95_ms=round(percentile(times, 0.95)) if times else -1,
        moving_p95_ms=round(percentile(sorted(start.moving_ms for start in found), 0.95)) if found else -1,
        warmed=sum(start.warmed for start in found),
        fetched_ahead_kb=watching.fetched_ahead_bytes // 1000 if watching else 0,
        unused_ahead_kb=watching.unused_ahead_bytes // 1000 if watching else 0,
    )


def percentile(ordered: list[float], share: float) -> float:
    """Nearest rank: the smallest value with at least `share` of all at or below it."""
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


async def measure(platform: ThrowawayPlatform, ids: list[str], options: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, nginx(Path(folder), platform, ids) as nginx_url:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
            for link in [LINKS[name] for name in options.links]:
                for made in await measure_link(browser, platform, ids, link, nginx_url, options):
                    rows.append(made)
                    print(text(made), flush=True)
            await browser.close()
    return rows


async def measure_link(
    browser: Browser,
    platform: ThrowawayPlatform,
    ids: list[str],
    link: Link,
    nginx_url: str | None,
    options: argparse.Namespace,
) -> list[Row]:
    rows = []
    pop, clips = platform.pop_url, len(ids)
    for variant, dwell_s in (("app, swipe", options.dwell_s), ("app, quick", QUICK_S), ("app, hurried", HURRIED_S)):
        async with page_on(browser, link) as page:
            seen = await swipe_through(page, pop, clips=clips, dwell_s=dwell_s)
        rows.append(row(link, variant, seen.starts[1:], seen))
        if variant != "app, hurried":
            rows.append(row(link, "  of them prepared", (start for start in seen.starts[1:] if start.warmed)))
    await asyncio.to_thread(empty_cache, platform, "local-2")
    cold: list[Start] = []
    for first in range(0, clips, PER_CREATOR):
        mine = min(PER_CREATOR, clips - first)
        async with page_on(browser, link) as page:
            address = f"{platform.urls['local-2']}/v/{ids[first]}"
            cold += (await swipe_through(page, address, clips=mine, dwell_s=HURRIED_S)).starts[1:]
    rows.append(row(link, "app, cold PoP", cold))
    masters = [f"{pop}/videos/us-east/{video_id}/master.m3u8" for video_id in ids]
    async with page_on(browser, link) as page:
        found = await start_each(page, f"{pop}/healthz", kind="hls.js", urls=masters, hls_js=_HLS_JS)
    rows.append(row(link, "hls.js", found))
    if nginx_url:
        files = [f"{nginx_url}/{video_id}.mp4" for video_id in ids]
        async with page_on(browser, link) as page:
            found = await start_each(page, f"{nginx_url}/blank.html", kind="mp4", urls=files, hls_js=_HLS_JS)
        rows.append(row(link, "mp4, nginx", found))
    return rows


def empty_cache(platform: ThrowawayPlatform, pop: str) -> None:
    """Stop a PoP, remove its media cache, wait until it is back."""
    pid = platform.kill(pop)
    for folder in platform.folder.root.glob(f"**/{pop}/media"):
        shutil.rmtree(folder, ignore_errors=True)
    platform.wait_until_back(pop, not_pid=pid)


@contextmanager
def nginx(folder: Path, platform: ThrowawayPlatform, ids: list[str]) -> Iterator[str | None]:
    """The first rungs as plain files behind nginx; None where nginx is not installed."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        print("nginx is not installed: that peer is left out")
        yield None
        return
    for video_id in ids:
        item = json.load(urllib.request.urlopen(f"{platform.pop_url}/api/v1/videos/{video_id}"))
        with urllib.request.urlopen(platform.pop_url + item["start"]["mp4Url"]) as reply:
            (folder / f"{video_id}.mp4").write_bytes(reply.read())
    (folder / "blank.html").write_text("<!doctype html><title>blank</title><body>", "utf-8")
    [port] = free_ports(1)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; user root;\n"
        "events { worker_connections 64; }\n"
        f"http {{ access_log off; types {{ video/mp4 mp4; text/html html; }} sendfile on; tcp_nopush on;\n"
        f"  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;\n"
        f"  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"  server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n",
        "utf-8",
    )
    process = subprocess.Popen([program, "-c", folder / "nginx.conf"])
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def text(found: Row) -> str:
    ahead = f"  ahead {found.fetched_ahead_kb} kB, unused {found.unused_ahead_kb} kB" if found.fetched_ahead_kb else ""
    return (
        f"{found.link:18} {found.variant:18} n={found.starts:<3} median {found.median_ms:>5} ms  "
        f"p95 {found.p95_ms:>5} ms (moving {found.moving_p95_ms:>5})  prepared {found.warmed:>2}{ahead}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--dwell-s", type=float, default=2.5)
    parser.add_argument("--links", nargs="+", choices=tuple(LINKS), default=list(LINKS))
    parser.add_argument("--no-build", action="store_true", help="measure web/dist as it is")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not options.no_build:
        web_build.build()
    clips = cut_clips(options.clips)
    with tempfile.TemporaryDirectory() as folder:
        platform = ThrowawayPlatform(Path(folder) / "data")
        platform.start()
        try:
            print(f"uploading {len(clips)} clips", flush=True)
            ids = upload(platform, clips)
            rows = asyncio.run(measure(platform, ids, options))
        finally:
            platform.stop()
    if options.json:
        options.json.write_text(json.dumps([asdict(made) for made in rows], indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
