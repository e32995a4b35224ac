"""The ways a clip goes on after its first second: hls.js takes over, never arrives, or is not needed."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Catalogue, Visit
from tests.e2e.player_probe import difference, moment, wait_for_media_time, wait_until_playing

pytestmark = pytest.mark.e2e
_NEAR_END = """() => {
  const { duration } = popreelDeck.activeElement;
  if (!(duration > 1)) return false;
  popreelDeck.seek(duration - 0.6);
  return true;
}"""
_BUFFERED_TO_END = """() => {
  const { buffered, duration } = popreelDeck.activeElement;
  return buffered.length === 1 && buffered.start(0) < 0.1 && buffered.end(0) > duration - 0.3;
}"""
_BEGAN_AGAIN = "() => { const v = popreelDeck.activeElement; return v.currentTime < v.duration / 2 && !v.paused; }"


async def test_a_clip_plays_through_and_begins_again(visit: Visit, catalogue: Catalogue) -> None:
    """Past the fragment it opened with, without a gap, and round."""
    await visit.open(f"/v/{catalogue.video_ids[0]}")
    await wait_until_playing(visit.page)
    await visit.page.wait_for_function(_BUFFERED_TO_END)
    await visit.page.wait_for_function(_NEAR_END)
    await visit.page.wait_for_function(_BEGAN_AGAIN)
    await wait_for_media_time(visit.page, 0.3)


async def test_a_clip_plays_through_without_hls_js(visit: Visit, catalogue: Catalogue) -> None:
    await visit.page.route("**/assets/stream-*.js", lambda route: route.abort())
    await visit.open(f"/v/{catalogue.video_ids[0]}")
    await wait_until_playing(visit.page)
    await visit.page.wait_for_function(_BUFFERED_TO_END)
    await visit.page.wait_for_function(_NEAR_END)
    await visit.page.wait_for_function(_BEGAN_AGAIN)
    visit.complaints.clear()  # the browser itself logs the chunk that did not load


async def test_a_browser_without_media_sources_plays_by_its_own_hls(visit: Visit, catalogue: Catalogue) -> None:
    """What iPhones before iOS 17.1 have. Chromium's own HLS stands in for theirs; without it, the progressive file."""
    await visit.page.add_init_script("delete window.MediaSource; delete window.ManagedMediaSource;")
    await visit.open(f"/v/{catalogue.video_ids[0]}")
    await wait_until_playing(visit.page)
    source, native = await visit.page.evaluate(
        "() => { const v = popreelDeck.activeElement; return [v.src, v.canPlayType('application/vnd.apple.mpegurl')]; }"
    )
    assert source.endswith("/master.m3u8" if native else ".mp4")
    before = await moment(visit.page)
    await wait_for_media_time(visit.page, 1.0)
    assert difference(before, await moment(visit.page)) > 0.2


async def test_a_clip_taken_back_to_plays_at_once(visit: Visit) -> None:
    await visit.open()
    first = await wait_until_playing(visit.page)
    await visit.page.keyboard.press("ArrowDown")
    second = await wait_until_playing(visit.page, not_id=first)
    await visit.page.keyboard.press("ArrowUp")
    assert await wait_until_playing(visit.page, not_id=second) == first
    await wait_for_media_time(visit.page, 0.5)
