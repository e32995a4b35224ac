"""The web app in a headless Firefox, by hand: does every clip start, hand over to hls.js and begin again, and how soon?

    python -m bench.firefox [--swipes 8] [--dwell-s 1.5] [--no-build]

Needs firefox or firefox-esr on the PATH, and on Debian libavcodec, without which it has no H.264. No figure to compare
with Chromium's: another decoder, no emulated link. Exit code 1 if anything did not play or the console was written to.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from bench._firefox import FirefoxPage, firefox
from bench._start_clips import cut_clips, upload
from popreel import web_build
from popreel.lab.throwaway import ThrowawayPlatform

_SWIPE = "document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true }));"
_STATE = """
const { currentTime, duration, videoWidth, buffered } = popreelDeck.activeElement;
return { at: currentTime, duration, width: videoWidth, buffered: buffered.length ? buffered.end(0) : 0 };"""
_TO_ITS_END = "popreelDeck.seek(popreelDeck.activeElement.duration - 0.5);"
_BEGAN_AGAIN = "popreelDeck.activeElement.currentTime < popreelDeck.activeElement.duration / 2"
_SCREENS = ("/discover", "/@bench_0", "/settings", "/signup")


async def look(page: FirefoxPage, url: str, *, swipes: int, dwell_s: float) -> None:
    print(f"Firefox {page.version}")
    await page.goto(url)
    await page.wait_for("window.popreelDeck?.starts.length >= 1")
    for number in range(1, swipes + 1):
        await asyncio.sleep(dwell_s)  # somebody watches
        await page.evaluate(_SWIPE)
        await page.wait_for(f"popreelDeck.starts.length > {number}")
    for start in await page.evaluate("return popreelDeck.starts;"):
        prepared = "prepared" if start["warmed"] else ""
        print(f"first frame after {start['startMs']:>5} ms, moving after {start['movingMs']:>5} ms  {prepared}")
    await page.wait_for("popreelDeck.activeElement.buffered.end(0) > popreelDeck.activeElement.duration - 0.3")
    print("the last clip:", await page.evaluate(_STATE))
    await page.evaluate(_TO_ITS_END)
    await page.wait_for(_BEGAN_AGAIN)
    print("and after its end:", await page.evaluate(_STATE))
    for screen in _SCREENS:
        await page.goto(url + screen)
        await page.wait_for("document.querySelector('h1, [role=search]')")
    print("console:", page.console or "nothing")


async def run(program: str, url: str, options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as profile:
        async with firefox(program, Path(profile)) as page:
            await look(page, url, swipes=options.swipes, dwell_s=options.dwell_s)
            return 1 if page.console else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--swipes", type=int, default=8)
    parser.add_argument("--dwell-s", type=float, default=1.5)
    parser.add_argument("--no-build", action="store_true", help="look at web/dist as it is")
    options = parser.parse_args()
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        print("Firefox is not installed: nothing was looked at (Debian: firefox-esr and libavcodec59 or newer)")
        return 0
    if not options.no_build:
        web_build.build()
    with tempfile.TemporaryDirectory() as folder:
        platform = ThrowawayPlatform(Path(folder) / "data")
        platform.start()
        try:
            upload(platform, cut_clips(options.swipes + 1))
            return asyncio.run(run(program, platform.pop_url, options))
        finally:
            platform.stop()


if __name__ == "__main__":
    sys.exit(main())
