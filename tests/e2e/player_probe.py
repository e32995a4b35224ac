"""What a test can see of the player in the page: which clip, how far, and whether the picture changes."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.async_api import Page

_ACTIVE = ".slide.is-active"

# A 16x16 grey picture of the clip on screen, drawn by the browser from the decoded frame.
_PIXELS = """() => {
  const video = [...document.querySelectorAll('.slide.is-active video')].find((v) => v.style.opacity !== '0');
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 16;
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, 16, 16);
  const { data } = context.getImageData(0, 0, 16, 16);
  return Array.from({ length: 256 }, (_, i) => (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) / 3);
}"""

_STARTED = """(id) => {
  const slide = document.querySelector('.slide.is-active');
  if (!slide || (id && slide.dataset.videoId !== id)) return false;
  const video = [...slide.querySelectorAll('video')].find((v) => v.style.opacity !== '0');
  return video && !video.paused && video.readyState >= 2 && video.currentTime > 0.05;
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    video_id: str
    at_s: float
    pixels: list[float]


async def active_id(page: Page) -> str:
    found = await page.locator(_ACTIVE).get_attribute("data-video-id")
    assert found is not None
    return found


async def wait_until_playing(page: Page, *, video_id: str | None = None, not_id: str | None = None) -> str:
    """Return the id of the clip that plays; it is `video_id`, or not `not_id`, if given."""
    if not_id is not None:
        await page.wait_for_function(
            "(id) => document.querySelector('.slide.is-active')?.dataset.videoId !== id", arg=not_id
        )
    await page.wait_for_function(_STARTED, arg=video_id)
    return await active_id(page)


async def moment(page: Page) -> Moment:
    at_s = await page.evaluate("() => popreelDeck.activeElement.currentTime")
    return Moment(video_id=await active_id(page), at_s=at_s, pixels=await page.evaluate(_PIXELS))


async def wait_for_media_time(page: Page, seconds: float) -> None:
    """Wait until the clip on screen has moved on by `seconds` (or begun its next round)."""
    before = await page.evaluate("() => popreelDeck.activeElement.currentTime")
    await page.wait_for_function(
        """([before, by]) => {
          const now = popreelDeck.activeElement.currentTime;
          return now < before || now >= before + by;
        }""",
        arg=[before, seconds],
    )


def difference(one: Moment, other: Moment) -> float:
    """Mean absolute difference of the two pictures in grey levels (0-255)."""
    return sum(abs(a - b) for a, b in zip(one.pixels, other.pixels, strict=True)) / len(one.pixels)
