"""What the browser downloads before the first clip, and what is left without a network."""

from __future__ import annotations

import pytest
from playwright.async_api import Response, expect

from tests.e2e.conftest import Visit
from tests.e2e.player_probe import wait_until_playing

pytestmark = pytest.mark.e2e
BUDGET_BYTES = 150_000


async def test_the_first_load_stays_within_its_budget(visit: Visit) -> None:
    """Script before the player chunk, as sent; every asset compressed and immutable."""
    scripts: list[Response] = []
    visit.page.on("response", lambda reply: scripts.append(reply) if reply.url.endswith(".js") else None)
    await visit.open()
    await wait_until_playing(visit.page)
    first = [reply for reply in scripts if "/assets/" in reply.url and "/stream-" not in reply.url]
    assert first
    headers = [await reply.all_headers() for reply in first]
    assert {fields["cache-control"] for fields in headers} == {"public, max-age=31536000, immutable"}
    assert {fields.get("content-encoding") for fields in headers} <= {"br", "gzip", None}
    assert any(fields.get("content-encoding") for fields in headers)
    assert sum(int(fields["content-length"]) for fields in headers) <= BUDGET_BYTES


async def test_the_shell_opens_without_a_network(visit: Visit) -> None:
    page = visit.page
    await visit.open()
    await wait_until_playing(page)
    await page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
    await page.reload()  # now every asset passes through the worker
    await wait_until_playing(page)
    await visit.context.set_offline(True)
    await page.reload()
    await expect(page.get_by_role("navigation", name="Main").last).to_be_visible()
    await expect(page.get_by_role("button", name="Try again")).to_be_visible()
    visit.complaints.clear()  # the browser itself logs that the API did not answer


async def test_the_app_can_be_installed(visit: Visit) -> None:
    reply = await visit.context.request.get(f"{visit.url}/manifest.webmanifest")
    manifest = await reply.json()
    assert manifest["display"] == "standalone"
    for icon in manifest["icons"]:
        found = await visit.context.request.get(visit.url + icon["src"])
        assert found.ok
        assert found.headers["content-type"] == icon["type"]
