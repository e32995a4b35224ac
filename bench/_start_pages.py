"""What is measured inside the browser: from "play this" to the first frame presented (requestVideoFrameCallback)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page
from playwright.async_api import TimeoutError as PlaywrightTimeout

PHONE = {"width": 390, "height": 844}
_GIVE_UP_MS = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A network as Chromium emulates it; rate 0: unthrottled."""

    name: str
    rate_bps: int
    delay_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    ms: float
    """First frame on screen."""
    moving_ms: float
    """First frame after it, or the same where nothing was prepared."""
    warmed: bool
    """The player held the first fragment before it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    starts: tuple[Start, ...]
    fetched_ahead_bytes: int
    unused_ahead_bytes: int


@asynccontextmanager
async def page_on(browser: Browser, link: Link) -> AsyncIterator[Page]:
    """A fresh profile (empty browser cache) behind `link`; no service worker, which throttling would not reach."""
    context = await browser.new_context(
        viewport=PHONE,  # type: ignore[arg-type]
        device_scale_factor=2,
        has_touch=True,
        is_mobile=True,
        bypass_csp=True,
        service_workers="block",
    )
    page = await context.new_page()
    page.set_default_timeout(_GIVE_UP_MS)
    if link.rate_bps:
        session = await context.new_cdp_session(page)
        await session.send("Network.enable")
        bytes_s = link.rate_bps / 8
        conditions = {
            "offline": False,
            "latency": link.delay_ms,
            "downloadThroughput": bytes_s,
            "uploadThroughput": bytes_s,
        }
        await session.send("Network.emulateNetworkConditions", conditions)
    try:
        yield page
    finally:
        await context.close()


async def swipe_through(page: Page, url: str, *, clips: int, dwell_s: float) -> Watching:
    """Open the app at `url` and swipe down `clips - 1` times, `dwell_s` after each first frame."""
    await page.goto(url)
    await page.wait_for_function("() => window.popreelDeck?.starts.length >= 1")
    for number in range(1, clips):
        await page.wait_for_timeout(dwell_s * 1000)
        await page.keyboard.press("ArrowDown")
        try:
            await page.wait_for_function("(n) => popreelDeck.starts.length > n", arg=number)
        except PlaywrightTimeout:
            break  # the list was shorter: what there is counts
    starts = await page.evaluate("() => popreelDeck.starts")
    tally = await page.evaluate("() => popreelDeck.prefixes.tally")
    return Watching(
        starts=tuple(
            Start(ms=start["startMs"], moving_ms=start["movingMs"], warmed=start["warmed"]) for start in starts
        ),
        fetched_ahead_bytes=tally["fetchedBytes"],
        unused_ahead_bytes=tally["fetchedBytes"] - tally["usedBytes"],
    )


_MEASURE = """async ([kind, url]) => {
  document.body.replaceChildren();
  const video = document.createElement('video');
  video.muted = true;
  video.playsInline = true;
  video.style.cssText = 'position:fixed;inset:0;width:390px;height:693px';
  document.body.append(video);
  const began = performance.now();
  const shown = new Promise((resolve) => video.requestVideoFrameCallback((now) => resolve(now - began)));
  let hls = null;
  if (kind === 'hls.js') {
    hls = new Hls();
    hls.loadSource(url);
    hls.attachMedia(video);
  } else video.src = url;
  void video.play();
  const ms = await Promise.race([shown, new Promise((resolve) => setTimeout(() => resolve(-1), 30000))]);
  hls?.destroy();
  video.removeAttribute('src');
  video.load();
  video.remove();
  return ms;
}"""


async def start_each(page: Page, blank: str, *, kind: str, urls: Sequence[str], hls_js: Path) -> tuple[Start, ...]:
    """Play every URL once in a bare page of the same origin ("hls.js": its defaults; "mp4": a video element)."""
    await page.goto(blank)
    if kind == "hls.js":
        await page.add_script_tag(path=hls_js)
    times = [await page.evaluate(_MEASURE, [kind, url]) for url in urls]
    return tuple(Start(ms=ms, moving_ms=ms, warmed=False) for ms in times if ms >= 0)
