"""Other people's players on a package in a real Chromium: hls.js, Shaka Player, the browser's own HLS and plain MP4.

Each reaches its first frame, plays past the first segment boundary, and after a seek shows the picture that FFmpeg
decodes at that time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from aiohttp import web
from numpy.typing import NDArray
from playwright.async_api import Browser, Page

from foundation.http.server import listening
from popreel.embedded.ports import free_ports
from tests.e2e.conftest import PATIENCE_MS
from tests.integration.packager.packaging import Packaged
from tests.npm_tools import npm_tools

pytestmark = pytest.mark.e2e
FIRST_BOUNDARY_S = 1.0
SEEK_S = 3.62  # inside the third segment, well away from its key picture
_SIDE = 16

_PAGE = """<!doctype html><meta charset="utf-8"><title>players</title>
<script src="/npm/hls.js/dist/hls.js"></script>
<script src="/npm/shaka-player/dist/shaka-player.compiled.js"></script>
<video id="video" muted playsinline></video>
<script>
const video = document.getElementById('video');
const faults = [];
video.addEventListener('error', () => faults.push(`video: ${video.error.code} ${video.error.message}`));

const players = {
  async hls(url, height) {
    const hls = new Hls({ enableWorker: false });
    hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) faults.push(`hls.js: ${data.details}`); });
    const parsed = new Promise((done) => hls.on(Hls.Events.MANIFEST_PARSED, done));
    hls.loadSource(url);
    await parsed;
    hls.currentLevel = hls.levels.findIndex((level) => level.height === height);
    hls.attachMedia(video);
    return hls.levels.map((level) => level.height);
  },
  async shaka(url, height) {
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    await player.attach(video);
    player.addEventListener('error', (event) => faults.push(`shaka: ${event.detail.code}`));
    player.configure({ abr: { enabled: false } });
    await player.load(url);
    const tracks = player.getVariantTracks();
    player.selectVariantTrack(tracks.find((track) => track.height === height), true);
    return tracks.map((track) => track.height).sort((a, b) => a - b);
  },
  async native(url) {
    video.src = url;
    return [];
  },
};

// Resolves once a frame at or after `seconds` has been presented.
const presented = (seconds) => new Promise((done) => {
  const look = (_, frame) => frame.mediaTime >= seconds ? done(frame.mediaTime) : video.requestVideoFrameCallback(look);
  video.requestVideoFrameCallback(look);
});

async function shown(seconds) {
  video.pause();
  const frame = new Promise((done) => video.requestVideoFrameCallback((_, data) => done(data)));
  video.currentTime = seconds;
  const { mediaTime } = await frame;
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = SIDE;
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(video, 0, 0, SIDE, SIDE);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  const grey = Array.from({ length: SIDE * SIDE }, (_, i) =>
    0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]);
  return { mediaTime, grey, height: video.videoHeight, duration: video.duration };
}
</script>
""".replace("SIDE", str(_SIDE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A page with every player and a server with the package."""

    page: Page
    out_dir: Path

    async def play(self, player: str, file: str, height: int) -> list[int]:
        """Start and wait for a frame past the boundary; returns the heights the player knows of."""
        heights: list[int] = await self.page.evaluate(
            """async ([player, url, height]) => {
              const heights = await players[player](url, height);
              await video.play();
              return heights;
            }""",
            [player, f"/media/{file}", height],
        )
        reached = await self.page.evaluate("(seconds) => presented(seconds)", FIRST_BOUNDARY_S + 0.1)
        assert reached >= FIRST_BOUNDARY_S + 0.1
        return heights

    async def check_seek(self, height: int) -> None:
        """The picture after a seek is the one FFmpeg decodes there; nothing was complained of on the way."""
        seen = await self.page.evaluate("(seconds) => shown(seconds)", SEEK_S)
        assert seen["height"] == height
        assert seen["duration"] == pytest.approx(5.28, abs=0.05)
        assert seen["mediaTime"] == pytest.approx(SEEK_S, abs=0.05)
        wanted = grey_at(self.out_dir / f"{height}p.mp4", seen["mediaTime"])
        other = grey_at(self.out_dir / f"{height}p.mp4", 0.5)
        grey = np.asarray(seen["grey"])
        assert np.abs(grey - wanted).mean() < 6 < np.abs(grey - other).mean()
        assert await self.page.evaluate("() => faults") == []


def grey_at(path: Path, second: float) -> NDArray[np.float64]:
    """The picture shown at `second`, (256,) averaged grey levels."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= second - 0.005:
                rgb = frame.reformat(width=_SIDE, height=_SIDE, format="rgb24", interpolation="AREA").to_ndarray()
                return np.asarray(rgb.reshape(-1, 3) @ (0.299, 0.587, 0.114))
    raise AssertionError(f"no picture at {second} s")


@pytest.fixture
async def stage(browser: Browser, bunny: Packaged) -> AsyncIterator[Stage]:
    app = web.Application()
    app.router.add_get("/", _page)
    app.router.add_static("/media/", bunny.out_dir)
    app.router.add_static("/npm/", npm_tools())
    address = f"127.0.0.1:{free_ports(1)[0]}"
    async with listening(app, address):
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.goto(f"http://{address}/")
        yield Stage(page=page, out_dir=bunny.out_dir)
        await page.close()


async def _page(request: web.Request) -> web.Response:
    return web.Response(text=_PAGE, content_type="text/html")


@pytest.mark.parametrize("height", [360, 720])
@pytest.mark.parametrize("player", ["hls", "shaka"])
async def test_a_player_starts_passes_a_boundary_and_seeks_in_a_rung(stage: Stage, player: str, height: int) -> None:
    assert await stage.play(player, "master.m3u8", height) == [360, 480, 720]
    await stage.check_seek(height)


@pytest.mark.parametrize("height", [360, 480, 720])
async def test_each_rungs_file_plays_progressively(stage: Stage, height: int) -> None:
    await stage.play("native", f"{height}p.mp4", height)
    await stage.check_seek(height)


async def test_the_browsers_own_hls_plays_a_media_playlist(stage: Stage) -> None:
    supported = await stage.page.evaluate("() => video.canPlayType('application/vnd.apple.mpegurl')")
    if not supported:
        pytest.skip("this Chromium has no HLS of its own (it came with 142)")
    await stage.play("native", "480p.m3u8", 480)
    await stage.check_seek(480)
