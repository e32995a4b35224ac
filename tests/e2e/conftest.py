"""A real Chromium against a running platform. Without Chromium: skipped by hand, failed in CI."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from popreel import web_build
from popreel.lab.throwaway import ThrowawayPlatform
from tests.media import clip

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
PATIENCE_MS = 45_000
"""For anything the page does by itself; what is right comes at once on any machine that has time for it."""
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}
CREATORS = {
    "bunny-720p": ("mira", "Bunny in the meadow", "animation,nature"),
    "bikes": ("tomas", "Rush hour by bike", "cycling,city"),
    "carphone": ("studio.nine", "Calling from the road", "vintage"),
    "gears": ("mira", "Small gears", "diy"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What the platform holds when the browser arrives."""

    platform: ThrowawayPlatform
    video_ids: tuple[str, ...]

    @property
    def url(self) -> str:
        return self.platform.pop_url


@dataclass(slots=True)
class Visit:
    """One browser page and everything it complained about."""

    page: Page
    context: BrowserContext
    url: str
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str = "/") -> None:
        await self.page.goto(self.url + path)


@pytest.fixture(scope="session")
def chromium_path() -> str | None:
    """Of an installed Chromium; None for the one Playwright keeps."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    kept = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", "~/.cache/ms-playwright")).expanduser()
    if any(kept.glob("chromium*")):
        return None
    reason = "no Chromium: `apt-get install chromium`, or run `make test`, which fetches one"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def catalogue(chromium_path: str | None, request: pytest.FixtureRequest) -> Catalogue:
    """A platform with the built web app and a few real clips of several creators."""
    web_build.build()
    platform: ThrowawayPlatform = request.getfixturevalue("platform")
    ids = []
    for name, (creator, title, hashtags) in CREATORS.items():
        sent = platform.popreel(
            "upload", clip(name), "--as", creator, "--title", title, "--hashtags", hashtags, "--json"
        )
        assert sent.returncode == 0, sent.stdout + sent.stderr
        ids.append(json.loads(sent.stdout)[0]["videoId"])
    return Catalogue(platform=platform, video_ids=tuple(ids))


@pytest.fixture
async def browser(chromium_path: str | None, tmp_path: Path) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        environ = {**os.environ, "HOME": str(tmp_path)}  # Chromium's settings stay out of the person's home
        expect.set_options(timeout=PATIENCE_MS)
        running = await playwright.chromium.launch(executable_path=chromium_path, args=list(FLAGS), env=environ)
        yield running
        await running.close()


@pytest.fixture
async def visit(browser: Browser, catalogue: Catalogue) -> AsyncIterator[Visit]:
    """A phone that has never been here. The test fails if a page writes an error to its console."""
    context = await browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, locale="en-GB")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    here = Visit(page=page, context=context, url=catalogue.url)
    listen(here)
    yield here
    await context.close()
    assert here.complaints == []


def listen(visit: Visit) -> None:
    visit.page.on(
        "console",
        lambda message: visit.complaints.append(message.text) if message.type in ("error", "warning") else None,
    )
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
