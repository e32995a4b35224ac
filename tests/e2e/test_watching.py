"""Watching: the first clip plays by itself, every way of swiping brings the next, and the PoP hears about it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import Request

from tests.e2e.conftest import Catalogue, Visit
from tests.e2e.player_probe import active_id, difference, moment, wait_for_media_time, wait_until_playing
from tests.polling import until

pytestmark = pytest.mark.e2e


async def test_the_first_clip_plays_and_a_swipe_brings_another_moving_picture(visit: Visit) -> None:
    await visit.open()
    first = await wait_until_playing(visit.page)
    before = await moment(visit.page)
    await wait_for_media_time(visit.page, 0.8)
    after = await moment(visit.page)
    assert after.at_s > before.at_s
    assert difference(before, after) > 0.2, "the picture stands still"

    await swipe(visit, by=-500)
    second = await wait_until_playing(visit.page, not_id=first)
    assert second != first
    other = await moment(visit.page)
    assert difference(after, other) > 2, "the second clip looks like the first"
    await wait_for_media_time(visit.page, 0.8)
    assert difference(other, await moment(visit.page)) > 0.2


async def test_twenty_swipes_by_touch_wheel_and_keys_each_start_a_clip(visit: Visit) -> None:
    await visit.open()
    here = await wait_until_playing(visit.page)
    ways = (lambda up: swipe(visit, by=500 if up else -500), lambda up: wheel(visit, up), lambda up: key(visit, up))
    up = False
    for turn in range(20):
        # A clip that is left before its first frame is presented has no start to record.
        await visit.page.wait_for_function("(n) => popreelDeck.starts.length > n", arg=turn)
        if turn % 3 == 0 and turn > 0:
            up = not up
        await ways[turn % len(ways)](up)
        here = await wait_until_playing(visit.page, not_id=here)
    await visit.page.wait_for_function("() => popreelDeck.starts.length >= 21")
    starts = await visit.page.evaluate("() => popreelDeck.starts")
    assert len(starts) == 21
    assert all(0 <= start["startMs"] < 10_000 for start in starts)
    assert any(start["warmed"] for start in starts), "no clip was ready before it was asked for"


async def test_leaving_a_clip_reports_how_long_it_was_watched(visit: Visit, catalogue: Catalogue) -> None:
    await visit.open()
    first = await wait_until_playing(visit.page)
    await wait_for_media_time(visit.page, 1.0)
    async with visit.page.expect_response("**/api/v1/analytics/watch") as answer:
        await visit.page.keyboard.press("ArrowDown")
    response = await answer.value
    assert response.status == 202
    event = _events(response.request)[0]
    assert event["videoId"] == first
    assert 700 <= event["watchDuration"] <= 60_000
    assert event["source"] == "fyp"
    assert event["impression"]
    assert event["rebuffers"] == 0
    assert 0 < event["startTimeMs"] < 20_000
    assert (await response.json())["accepted"] == 1


async def test_a_page_that_is_closed_still_reports(visit: Visit) -> None:
    await visit.open()
    first = await wait_until_playing(visit.page)
    await wait_for_media_time(visit.page, 1.0)
    before = await views(visit, first)
    await visit.context.new_page()
    await visit.page.close(run_before_unload=True)

    async def counted() -> bool:
        return await views(visit, first) != before

    await until(counted, seconds=60)


async def test_sound_is_off_at_first_and_the_choice_is_kept(visit: Visit) -> None:
    await visit.open()
    await wait_until_playing(visit.page)
    assert await visit.page.evaluate("() => popreelDeck.activeElement.muted")
    await visit.page.get_by_role("button", name="Tap for sound").click()
    assert not await visit.page.evaluate("() => popreelDeck.activeElement.muted")
    await visit.page.reload()
    await wait_until_playing(visit.page)
    assert not await visit.page.evaluate("() => popreelDeck.activeElement.muted")


async def test_a_tap_pauses_and_the_bar_moves_the_clip(visit: Visit) -> None:
    await visit.open()
    await wait_until_playing(visit.page)
    await visit.page.get_by_role("button", name="Pause").tap()
    await visit.page.wait_for_function("() => popreelDeck.activeElement.paused")
    bar = visit.page.get_by_role("slider", name="Position in the video")
    before = await visit.page.evaluate("() => popreelDeck.activeElement.currentTime")
    await bar.focus()
    await visit.page.keyboard.press("ArrowRight")
    await visit.page.wait_for_function("(at) => Math.abs(popreelDeck.activeElement.currentTime - at) > 0.5", arg=before)


async def test_a_shared_address_opens_that_clip(visit: Visit, catalogue: Catalogue) -> None:
    wanted = catalogue.video_ids[1]
    await visit.open(f"/v/{wanted}")
    assert await wait_until_playing(visit.page, video_id=wanted) == wanted
    assert await active_id(visit.page) == wanted


async def views(visit: Visit, video_id: str) -> int:
    reply = await visit.context.request.get(f"{visit.url}/api/v1/videos/{video_id}")
    count: int = (await reply.json())["viewCount"]
    return count


async def swipe(visit: Visit, *, by: int) -> None:
    """A finger that moves `by` px within a quarter of a second."""
    session = await visit.context.new_cdp_session(visit.page)
    start = 620 if by < 0 else 160
    await session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": 160, "y": start}]})
    for step in range(1, 6):
        point = {"x": 160, "y": start + by * step / 5}
        await session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    await session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    await session.detach()


async def wheel(visit: Visit, up: bool) -> None:
    await visit.page.mouse.move(180, 400)
    await visit.page.mouse.wheel(0, -240 if up else 240)


async def key(visit: Visit, up: bool) -> None:
    await visit.page.keyboard.press("ArrowUp" if up else "ArrowDown")


def _events(request: Request) -> list[dict[str, Any]]:
    assert request.post_data is not None
    found: list[dict[str, Any]] = json.loads(request.post_data)["events"]
    return found
