"""Captions that are read, a sound that is used again, and what an upload says about both."""

from __future__ import annotations

import json
import re

import pytest
from playwright.async_api import FilePayload, expect

from tests.e2e.conftest import Catalogue, Visit
from tests.e2e.player_probe import wait_until_playing
from tests.e2e.test_journey import sign_up
from tests.media import clip

pytestmark = pytest.mark.e2e
_SUBRIP = "1\r\n00:00:00,000 --> 00:00:00,550\r\nA walk in the <i>park</i>\r\n"


async def test_captions_are_shown_in_the_chosen_language_or_not_at_all(visit: Visit, catalogue: Catalogue) -> None:
    page, video_id = visit.page, catalogue.video_ids[0]
    headers = {"Authorization": f"Bearer {catalogue.platform.token('mira')}", "Content-Type": "text/vtt"}
    for lang, words in (("en", "Hello, bunny"), ("ar", "مرحبًا أيها الأرنب")):
        body = f"WEBVTT\n\n00:00.000 --> 01:00.000\n<v Narrator>{words}\n"
        address = f"{visit.url}/api/v1/videos/{video_id}/captions/{lang}"
        reply = await visit.context.request.put(address, headers=headers, data=body)
        assert reply.ok, await reply.text()

    await visit.open(f"/v/{video_id}")
    await wait_until_playing(page)
    active = page.locator(".slide.is-active")
    await expect(active.get_by_text("Hello, bunny")).to_be_visible()
    await active.get_by_role("button", name="Options").click()
    await page.get_by_label("Captions").select_option("ar")
    await page.keyboard.press("Escape")
    await expect(active.get_by_text("مرحبًا أيها الأرنب")).to_be_visible()
    await active.get_by_role("button", name="Options").click()
    await page.get_by_label("Captions").select_option("Off")
    await page.keyboard.press("Escape")
    await expect(active.locator(".subtitles")).to_have_count(0)


async def test_a_video_is_made_with_the_sound_of_another_and_with_captions(visit: Visit, catalogue: Catalogue) -> None:
    page = visit.page
    username = await sign_up(page, visit.url)
    await visit.open(f"/v/{catalogue.video_ids[0]}")
    await wait_until_playing(page)
    await page.locator(".slide.is-active").get_by_role("button", name="Options").click()
    await page.get_by_role("button", name="Use this sound").click()
    await page.wait_for_url(re.compile(r"/upload\?sound=\d+$"))

    await page.get_by_label("Choose a video").set_input_files(clip("park"))
    await page.get_by_label("Title").fill("The park, with a bunny's sound")
    await page.get_by_role("slider", name="Original sound").fill("0.25")
    captions = FilePayload(name="park.en.srt", mimeType="application/x-subrip", buffer=_SUBRIP.encode())
    await page.get_by_label("Add captions").set_input_files(captions)
    await expect(page.get_by_label("Language", exact=True)).to_have_value("en")
    post = page.get_by_role("button", name="Post", exact=True)
    await expect(post).to_be_enabled()
    async with page.expect_request("**/upload/complete") as asked:
        await post.click()
    sent = json.loads((await asked.value).post_data or "{}")
    assert sent["musicId"] == page.url.rsplit("=", 1)[1]
    assert sent["edits"]["sound"] == {"startMs": 0, "volume": 1, "originalVolume": 0.25}
    await expect(page.get_by_text("Your video is live")).to_be_visible(timeout=150_000)

    await page.get_by_role("link", name="Watch it").click()
    await wait_until_playing(page)
    active = page.locator(".slide.is-active")
    await expect(active.get_by_text("A walk in the park")).to_be_visible()
    await active.locator(".sound-line").click()
    await page.wait_for_url("**/sound/*")
    await expect(page.get_by_role("link", name=re.compile("The park, with"))).to_be_visible()
    await expect(page.get_by_role("link", name="Use this sound")).to_be_visible()
    assert username


async def test_the_sound_library_is_searched_while_shaping(visit: Visit, catalogue: Catalogue) -> None:
    page = visit.page
    await sign_up(page, visit.url)
    headers = {"Authorization": f"Bearer {catalogue.platform.token('ada.sounds')}"}
    made = await visit.context.request.post(
        f"{visit.url}/api/v1/videos/{catalogue.video_ids[3]}/sound", headers=headers
    )
    sound = await made.json()
    await visit.open("/upload")
    await page.get_by_label("Choose a video").set_input_files(clip("park"))
    await page.get_by_role("button", name=re.compile("^Sound")).click()
    sheet = page.get_by_role("dialog")
    await sheet.get_by_label("Search sounds").fill(sound["artist"])
    await sheet.get_by_role("button", name=re.compile(re.escape(sound["title"]))).last.click()
    await expect(page.get_by_role("button", name="Remove the sound")).to_be_visible()
