"""First visit of the web app in headless Chromium, phone size: first contentful paint, blocking time, script size.

    python -m bench.paint [--visits 5] [--links free 5m 1.5m] [--no-build]

Every visit has a fresh profile (nothing cached, no service worker). Total blocking time is the part above 50 ms of
every long task from the first contentful paint to two seconds after the first frame of the first clip. Script is what
was sent, compressed, until then; the player chunk (hls.js) is counted apart.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Response, async_playwright

from bench._start_clips import cut_clips, upload
from bench._start_pages import Link, page_on
from bench.start import FLAGS, LINKS
from popreel import web_build
from popreel.lab.throwaway import ThrowawayPlatform

_CLIPS = 3
_AFTER_FRAME_MS = 2_000
_OBSERVE = """
window.paintLog = { fcp: -1, tasks: [] };
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (entry.name === 'first-contentful-paint') paintLog.fcp = entry.startTime;
}).observe({ type: 'paint', buffered: true });
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) paintLog.tasks.push([startTime, duration]);
}).observe({ type: 'longtask', buffered: true });
"""
_BLOCKED = """() => paintLog.tasks
  .filter(([start]) => start >= paintLog.fcp)
  .reduce((sum, [, duration]) => sum + Math.max(0, duration - 50), 0)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    first_contentful_paint_ms: float
    total_blocking_ms: float
    first_frame_ms: float
    script_bytes: int
    player_chunk_bytes: int


async def visit_once(browser: Browser, link: Link, url: str) -> Visit:
    async with page_on(browser, link) as page:
        scripts: list[Response] = []
        page.on("response", lambda reply: scripts.append(reply) if reply.url.endswith(".js") else None)
        await page.add_init_script(_OBSERVE)
        await page.goto(url)
        await page.wait_for_function("() => window.popreelDeck?.starts.length >= 1")
        first_frame_ms = await page.evaluate("() => performance.now()")
        await page.wait_for_timeout(_AFTER_FRAME_MS)
        sizes = [(reply.url, await sent_bytes(reply)) for reply in scripts]
        return Visit(
            first_contentful_paint_ms=await page.evaluate("() => paintLog.fcp"),
            total_blocking_ms=await page.evaluate(_BLOCKED),
            first_frame_ms=first_frame_ms,
            script_bytes=sum(size for name, size in sizes if "/stream-" not in name),
            player_chunk_bytes=sum(size for name, size in sizes if "/stream-" in name),
        )


async def sent_bytes(reply: Response) -> int:
    return int((await reply.all_headers())["content-length"])


async def measure(url: str, *, links: list[str], visits: int) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        for name in links:
            seen = [await visit_once(browser, LINKS[name], url) for _ in range(visits)]
            print(text(LINKS[name].name, seen), flush=True)
        await browser.close()


def text(link: str, seen: list[Visit]) -> str:
    def median(name: str) -> float:
        return statistics.median(getattr(visit, name) for visit in seen)

    return (
        f"{link:18} first contentful paint {median('first_contentful_paint_ms'):>5.0f} ms  "
        f"total blocking {median('total_blocking_ms'):>4.0f} ms  first frame {median('first_frame_ms'):>5.0f} ms  "
        f"script {median('script_bytes') / 1000:.1f} kB + player chunk {median('player_chunk_bytes') / 1000:.1f} kB"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=5)
    parser.add_argument("--links", nargs="+", choices=tuple(LINKS), default=list(LINKS))
    parser.add_argument("--no-build", action="store_true", help="measure web/dist as it is")
    options = parser.parse_args()
    if not options.no_build:
        web_build.build()
    with tempfile.TemporaryDirectory() as folder:
        platform = ThrowawayPlatform(Path(folder) / "data")
        platform.start()
        try:
            upload(platform, cut_clips(_CLIPS))
            asyncio.run(measure(platform.pop_url, links=options.links, visits=options.visits))
        finally:
            platform.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
