"""What belongs to a person: their picture, what they liked and saved, their data, and why they see what they see."""

from __future__ import annotations

import io
import json
import re

import pytest
from PIL import Image
from playwright.async_api import FilePayload, expect

from tests.e2e.conftest import Catalogue, Visit
from tests.e2e.player_probe import wait_until_playing
from tests.e2e.test_journey import sign_up

pytestmark = pytest.mark.e2e


def picture() -> FilePayload:
    made = io.BytesIO()
    Image.new("RGB", (300, 200), (240, 90, 40)).save(made, "PNG")
    return FilePayload(name="me.png", mimeType="image/png", buffer=made.getvalue())


async def test_a_picture_is_set_shown_and_taken_away(visit: Visit) -> None:
    page = visit.page
    username = await sign_up(page, visit.url)
    await visit.open("/settings")
    await page.get_by_label("Change picture").set_input_files(picture())
    shown = page.locator(".avatar-row img.avatar")
    await expect(shown).to_be_visible()
    await expect(shown).to_have_js_property("naturalWidth", 128)
    await visit.open(f"/@{username}")
    await expect(page.locator(".profile-head img.avatar")).to_be_visible()
    await visit.open("/settings")
    await page.get_by_role("button", name="Remove picture").click()
    await expect(page.locator(".avatar-row span.avatar")).to_be_visible()


async def test_liked_and_saved_videos_are_kept_on_the_own_profile(visit: Visit, catalogue: Catalogue) -> None:
    page = visit.page
    username = await sign_up(page, visit.url)
    await visit.open(f"/v/{catalogue.video_ids[1]}")
    await wait_until_playing(page)
    active = page.locator(".slide.is-active")
    for name, path in (("Like", "like"), ("Save", "bookmark")):
        async with page.expect_response(re.compile(rf"/{path}$")) as answered:
            await active.get_by_role("button", name=re.compile(f"^{name}")).click()
        assert (await answered.value).ok
    for tab in ("Liked", "Saved"):
        await visit.open(f"/@{username}")
        await page.get_by_role("tab", name=tab).click()
        await expect(page.get_by_role("link", name=re.compile("Rush hour by bike"))).to_be_visible()


async def test_the_own_data_is_one_file(visit: Visit) -> None:
    page = visit.page
    username = await sign_up(page, visit.url)
    await visit.open("/settings")
    async with page.expect_download() as begun:
        await page.get_by_role("button", name=re.compile("Download your data")).click()
    kept = await (await begun.value).path()
    lines = [json.loads(line) for line in kept.read_text("utf-8").splitlines()]
    assert any(username in json.dumps(line) for line in lines)


async def test_a_viewer_is_told_why_a_video_is_here(visit: Visit) -> None:
    await visit.open()
    await wait_until_playing(visit.page)
    await visit.page.locator(".slide.is-active").get_by_role("button", name="Options").click()
    await expect(visit.page.get_by_role("heading", name="Why this video")).to_be_visible()
    assert await visit.page.locator(".why p").inner_text()


async def test_what_happened_is_in_the_inbox(visit: Visit, catalogue: Catalogue) -> None:
    username = await sign_up(visit.page, visit.url)
    await asks_to_follow(visit, catalogue, username)
    await opens_the_inbox_with_news(visit)
    await expect(visit.page.get_by_text("tomas follows you")).to_be_visible()


async def test_a_private_account_decides_who_follows(visit: Visit, catalogue: Catalogue) -> None:
    page = visit.page
    username = await sign_up(page, visit.url)
    await visit.open("/settings")
    async with page.expect_response("**/api/v1/users/me") as changed:
        await page.get_by_label("Private account").check()
    assert (await changed.value).ok
    await asks_to_follow(visit, catalogue, username)
    await opens_the_inbox_with_news(visit)
    await expect(page.get_by_text("tomas asks to follow you")).to_be_visible()
    await page.get_by_role("button", name="Accept").click()
    await expect(page.get_by_text("Accepted", exact=True)).to_be_visible()
    await visit.open(f"/@{username}")
    await page.get_by_role("button", name=re.compile("Followers$")).click()
    await expect(page.get_by_role("dialog").get_by_text("@tomas")).to_be_visible()


async def test_who_is_blocked_is_listed_and_let_back(visit: Visit) -> None:
    page = visit.page
    await sign_up(page, visit.url)
    await visit.open("/@tomas")
    await page.get_by_role("button", name="Options").click()
    await page.get_by_role("button", name=re.compile("^Block")).click()
    await expect(page.get_by_text("tomas is blocked.")).to_be_visible()
    await visit.open("/settings")
    await page.get_by_role("button", name="Blocked and muted").click()
    await page.get_by_role("button", name="Undo: tomas").click()
    await expect(page.get_by_text("Nobody yet")).to_be_visible()
    visit.complaints.clear()  # a blocked person's profile may answer 404 to the page behind


async def asks_to_follow(visit: Visit, catalogue: Catalogue, username: str) -> None:
    user = await (await visit.context.request.get(f"{visit.url}/api/v1/users/@{username}")).json()
    headers = {"Authorization": f"Bearer {catalogue.platform.token('tomas')}"}
    reply = await visit.context.request.post(f"{visit.url}/api/v1/users/{user['id']}/follow", headers=headers)
    assert reply.ok, await reply.text()


async def opens_the_inbox_with_news(visit: Visit) -> None:
    """Notices are written by the origin within a moment."""
    async with visit.page.expect_response("**/api/v1/notifications?*") as told:
        await visit.open("/inbox")
    while not (await (await told.value).json())["notifications"]:
        async with visit.page.expect_response("**/api/v1/notifications?*") as told:
            await visit.page.reload()
