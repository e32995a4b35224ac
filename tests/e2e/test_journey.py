"""A first day: sign-up, interests, feed, like, comment, follow, search, upload, own profile; and what is refused."""

from __future__ import annotations

import re
import secrets

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import Visit
from tests.e2e.player_probe import wait_until_playing
from tests.media import clip

pytestmark = pytest.mark.e2e
PASSWORD = "correct horse battery"


async def sign_up(page: Page, url: str) -> str:
    """Register through the form; returns the username. Leaves the page at the choice of interests."""
    username = f"ada_{secrets.token_hex(4)}"
    await page.goto(f"{url}/signup")
    await page.get_by_label("Username").fill(username)
    await page.get_by_label("Name", exact=True).fill("Ada")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_label("Birth date").fill("1990-05-17")
    await page.get_by_role("button", name="Create account").click()
    await page.wait_for_url("**/interests")
    return username


async def test_a_first_day(visit: Visit) -> None:
    page = visit.page
    username = await sign_up(page, visit.url)
    for topic in ("Nature", "Animation", "Cycling"):
        await page.get_by_role("button", name=topic).click()
    await page.get_by_role("button", name="Continue").click()
    await wait_until_playing(page)

    await likes_and_comments(page)
    await follows_the_creator(page)
    await searches_for_a_video(page)
    await uploads_and_finds_it_on_the_own_profile(page, username)


async def likes_and_comments(page: Page) -> None:
    words = f"What a light! {secrets.token_hex(3)}"
    active = page.locator(".slide.is-active")
    async with page.expect_response(re.compile(r"/like$")) as liked:
        await active.get_by_role("button", name=re.compile("^Like")).click()
    assert (await liked.value).ok
    await expect(active.get_by_role("button", name=re.compile("^Like"))).to_have_attribute("aria-pressed", "true")
    await active.get_by_role("button", name="Comments").click()
    await page.get_by_label("Add a comment").fill(words)
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_text(words)).to_be_visible()
    await page.get_by_role("button", name="Close").click()


async def follows_the_creator(page: Page) -> None:
    active = page.locator(".slide.is-active")
    async with page.expect_response(re.compile(r"/follow$")) as followed:
        await active.get_by_role("button", name=re.compile("^Follow ")).click()
    assert (await followed.value).ok
    await page.get_by_role("link", name="Following").first.click()
    await wait_until_playing(page)


async def searches_for_a_video(page: Page) -> None:
    await page.get_by_role("link", name="Search").click()
    await page.get_by_role("searchbox").fill("rush")
    await page.get_by_role("searchbox").press("Enter")
    await page.get_by_role("link", name=re.compile("Rush hour")).first.click()
    await wait_until_playing(page)


async def uploads_and_finds_it_on_the_own_profile(page: Page, username: str) -> None:
    await page.get_by_role("link", name="Create").click()
    await page.get_by_label("Choose a video").set_input_files(clip("park"))
    await page.get_by_label("Title").fill("A moment in the park")
    await page.get_by_label("Hashtags").fill("#park, calm")
    post = page.get_by_role("button", name="Post", exact=True)
    await expect(post).to_be_enabled()
    await post.click()
    await expect(page.get_by_text("Your video is live")).to_be_visible(timeout=150_000)
    await page.get_by_role("link", name="Profile").click()
    await expect(page.get_by_role("paragraph").filter(has_text=f"@{username}")).to_be_visible()
    await page.get_by_role("link", name=re.compile("A moment in the park")).click()
    await wait_until_playing(page)
    await renames_it(page)


async def renames_it(page: Page) -> None:
    await page.goto(page.url.split("/v/")[0] + "/studio")
    await page.get_by_role("button", name="Edit video: A moment in the park").click()
    await page.get_by_role("dialog").get_by_label("Title").fill("A minute in the park")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("link", name="A minute in the park")).to_be_visible()


async def test_what_is_refused_is_said_in_place(visit: Visit) -> None:
    page = visit.page
    username = await sign_up(page, visit.url)
    await visit.context.clear_cookies()
    await page.evaluate("() => localStorage.clear()")
    await visit.open("/login")
    await page.get_by_label("Username").fill(username)
    await page.get_by_label("Password", exact=True).fill("not the password")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    visit.complaints.clear()  # the browser itself logs the 401

    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(visit.url + "/")


async def test_an_upload_goes_on_after_a_reload(visit: Visit) -> None:
    """The parts that arrived before are not sent again."""
    page = visit.page
    await sign_up(page, visit.url)
    await visit.open("/upload")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
    await page.get_by_label("Choose a video").set_input_files(clip("park"))
    await expect(page.get_by_text("Uploading 100%")).to_be_visible()
    assert len(sent) == 1

    await page.reload()
    await expect(page.get_by_text(re.compile("Continue upload of"))).to_be_visible()
    await page.get_by_label("Choose a video").set_input_files(clip("park"))
    await expect(page.get_by_text("Uploading 100%")).to_be_visible()
    assert len(sent) == 1
    await page.get_by_role("button", name="Post", exact=True).click()
    await expect(page.get_by_text("Your video is live")).to_be_visible(timeout=150_000)


async def test_a_deleted_account_is_gone(visit: Visit) -> None:
    page = visit.page
    username = await sign_up(page, visit.url)
    await visit.open("/settings")
    await page.get_by_role("button", name="Delete account").click()
    sheet = page.get_by_role("dialog")
    confirm = sheet.get_by_role("button", name="Delete account")
    await expect(confirm).to_be_disabled()
    await sheet.get_by_placeholder(username).fill(username)
    await sheet.get_by_label("Password").fill(PASSWORD)
    await confirm.click()
    await page.wait_for_url(visit.url + "/")
    await expect(page.get_by_text("Your account is deleted")).to_be_visible()
    gone = await visit.context.request.get(f"{visit.url}/api/v1/users/@{username}")
    assert gone.status == 404
