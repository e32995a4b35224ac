"""axe on every screen, dark and light, signed in; and a right-to-left language that fits the phone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from popreel import web_build
from tests.e2e.conftest import Visit
from tests.e2e.player_probe import wait_until_playing
from tests.e2e.test_journey import sign_up
from tests.media import clip

pytestmark = pytest.mark.e2e
AXE = Path(web_build.__file__).resolve().parents[1] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SCREENS = (
    "/", "/following", "/discover", "/search?q=rush", "/upload", "/inbox", "/studio", "/settings", "/@mira",
    "/interests", "/tag/city", "/no/such/page", "/login", "/signup",
)  # fmt: skip
IN_LIGHT = ("/", "/discover", "/upload", "/settings", "/@mira", "/signup")
"""Every kind of surface once: the markup is the same, the colours are not."""
# what fades in is looked at when it is there
_RUN = """async () => {
  const ending = document.getAnimations().filter(
    (one) => one.playState === 'running' && one.effect?.getComputedTiming().endTime !== Infinity);
  await Promise.allSettled(ending.map((one) => one.finished));
  const found = await axe.run(document, { resultTypes: ['violations'] });
  return found.violations.map(({ id, nodes }) => ({ id, where: nodes.map((node) => node.html.slice(0, 160)) }));
}"""


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_axe_finds_nothing_on_any_screen(visit: Visit, theme: str) -> None:
    page = visit.page
    await sign_up(page, visit.url)
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    source = AXE.read_text("utf-8")
    found: dict[str, list[dict[str, Any]]] = {}
    for screen in SCREENS if theme == "dark" else IN_LIGHT:
        await visit.open(screen)
        await page.wait_for_load_state("networkidle")
        await page.evaluate(source)
        if violations := await page.evaluate(_RUN):
            found[screen] = violations
    assert found == {}


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_axe_finds_nothing_on_the_panels(visit: Visit, theme: str) -> None:
    page = visit.page
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    await visit.open()
    await wait_until_playing(page)
    source = AXE.read_text("utf-8")
    for name in ("Comments", "Options"):
        await page.locator(".slide.is-active").get_by_role("button", name=name).click()
        await page.get_by_role("dialog").wait_for()
        await page.wait_for_load_state("networkidle")
        await page.evaluate(source)
        assert await page.evaluate(_RUN) == []
        await page.keyboard.press("Escape")
        await page.get_by_role("dialog").wait_for(state="detached")


async def test_axe_finds_nothing_while_posting_and_on_the_panels_of_an_account(visit: Visit) -> None:
    page = visit.page
    username = await sign_up(page, visit.url)
    await page.emulate_media(reduced_motion="reduce")
    source = AXE.read_text("utf-8")

    async def clean(where: str) -> None:
        await page.wait_for_load_state("networkidle")
        await page.evaluate(source)
        assert await page.evaluate(_RUN) == [], where

    await visit.open("/upload")
    await page.get_by_label("Choose a video").set_input_files(clip("park"))
    await expect(page.get_by_role("button", name="Post", exact=True)).to_be_enabled()
    await clean("an upload being shaped")
    await page.get_by_role("button", name=re.compile("^Sound")).click()
    await clean("the choice of a sound")
    await visit.open(f"/@{username}")
    await page.get_by_role("tab", name="Saved").click()
    await clean("the own profile")
    await page.get_by_role("button", name=re.compile("Followers$")).click()
    await clean("followers")
    await visit.open("/settings")
    await page.get_by_role("button", name="Blocked and muted").click()
    await clean("blocked and muted")


async def test_right_to_left_screens_fit_the_phone(visit: Visit) -> None:
    page = visit.page
    await visit.open()
    await page.evaluate("() => localStorage.setItem('popreel.preferences', JSON.stringify({ language: 'ar' }))")
    for screen in ("/", "/discover", "/settings", "/@mira", "/signup"):
        await visit.open(screen)
        await page.wait_for_function("() => document.documentElement.dir === 'rtl'")
        await page.wait_for_load_state("networkidle")
        assert await page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), screen
