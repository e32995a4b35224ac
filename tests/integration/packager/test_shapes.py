"""Codecs, containers and shapes: each becomes a package that keeps every promise. All inputs are made, not real."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from packager import Completed, Probed, SourceInfo, package
from packager.edits import NO_EDITS, Edits
from tests.integration.packager.making import AAC, H264, make, run
from tests.integration.packager.reading import check_rung

Made = tuple[Completed, SourceInfo]


async def made(source: Path, out_dir: Path, edits: Edits = NO_EDITS, **more: Path) -> Made:
    probed: SourceInfo | None = None
    async for event in package(source, out_dir, edits=edits, **more):
        if isinstance(event, Probed):
            probed = event.source
        if isinstance(event, Completed):
            assert probed is not None
            return event, probed
    raise AssertionError("no result")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("in.mkv", (*H264, "-c:a", "libopus")),
        ("hevc.mp4", ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", *AAC)),
        ("vp9.webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus")),
        ("av1.mp4", ("-c:v", "libsvtav1", "-preset", "12", *AAC)),
        ("prores.mov", ("-c:v", "prores_ks", "-c:a", "pcm_s16le")),
        ("mpeg4.avi", ("-c:v", "mpeg4", "-c:a", "mp3")),
        ("in.ts", (*H264, *AAC)),
        ("in.mpg", ("-c:v", "mpeg2video", "-r", "25", "-c:a", "mp2")),
        ("mono.mp4", (*H264, *AAC, "-ac", "1", "-ar", "22050")),
        ("full-range.mp4", ("-vf", "format=yuvj420p", "-c:v", "libx264", "-preset", "ultrafast", *AAC)),
        ("444.mkv", ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p10le", *AAC)),
    ],
)
async def test_a_codec_or_container_is_taken(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    source = make(tmp_path / name, *options, size="320x240", seconds=1.0, rate="25")
    done, _ = await made(source, tmp_path / "out")
    (rung,) = done.manifest.renditions
    assert (rung.name, rung.width, rung.height, rung.frame_rate) == ("240p", 320, 240, 25.0)
    measured = check_rung(tmp_path / "out", rung, has_audio=True)
    assert 24 <= measured.frames <= 27


@pytest.mark.parametrize(
    ("size", "filters", "expected"),
    [
        ("202x360", "null", ("202p", 202, 360)),
        ("240x240", "null", ("240p", 240, 240)),
        ("321x241", "format=yuv444p", ("240p", 320, 240)),
        ("352x288", "setsar=16/11", ("288p", 512, 288)),
        ("1280x16", "null", ("16p", 1280, 16)),
    ],
)
async def test_a_shape_is_kept(size: str, filters: str, expected: tuple[str, int, int], tmp_path: Path) -> None:
    options = ("-vf", filters, "-c:v", "libx264", "-preset", "ultrafast")
    source = make(tmp_path / "in.mkv", *options, size=size, seconds=0.6, sound=False)
    done, _ = await made(source, tmp_path / "out")
    rung = done.manifest.renditions[0]
    assert (rung.name, rung.width, rung.height) == expected
    check_rung(tmp_path / "out", rung, has_audio=False)


@pytest.mark.parametrize("turn", [90, 180, 270])
async def test_a_turned_phone_gives_an_upright_picture(turn: int, tmp_path: Path) -> None:
    """The source's left half is white; where it ends up shows which way the picture was turned."""
    flat = tmp_path / "flat.mp4"
    run(
        *("-v", "error", "-f", "lavfi", "-i", "color=black:size=320x240:rate=25:duration=0.6"),
        *("-vf", "drawbox=x=0:w=160:color=white:t=fill"),
        *H264,
        str(flat),
    )
    # ffmpeg's -display_rotation counts counterclockwise; players turn the picture by it.
    run("-v", "error", "-display_rotation", str(turn), "-i", str(flat), "-c", "copy", str(tmp_path / "in.mp4"))
    done, probed = await made(tmp_path / "in.mp4", tmp_path / "out")
    assert probed.rotation == (360 - turn) % 360
    rung = done.manifest.renditions[0]
    assert (rung.width, rung.height) == ((320, 240) if turn == 180 else (240, 320))
    with av.open(str(tmp_path / "out" / f"{rung.name}.mp4")) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="gray")
    sides = {
        "left": picture[:, :60].mean(),
        "right": picture[:, -60:].mean(),
        "top": picture[:60].mean(),
        "bottom": picture[-60:].mean(),
    }
    assert max(sides, key=lambda side: sides[side]) == {90: "bottom", 180: "right", 270: "top"}[turn]


async def test_a_variable_rate_becomes_steady(tmp_path: Path) -> None:
    filters = "select='not(eq(mod(n,7),3))',setpts='PTS+0.01*random(0)/TB'"
    source = make(tmp_path / "in.mp4", "-vf", filters, "-fps_mode", "vfr", *H264, size="320x240", sound=False)
    done, probed = await made(source, tmp_path / "out")
    assert probed.variable_frame_rate
    rung = done.manifest.renditions[0]
    check_rung(tmp_path / "out", rung, has_audio=False)
    assert rung.frame_rate in (30.0, pytest.approx(29.97, abs=0.01))


async def test_high_rates_are_halved_to_sixty_and_low_rungs_to_thirty(tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4", *H264, size="1280x720", rate="120", seconds=0.6, sound=False)
    done, _ = await made(source, tmp_path / "out")
    assert [(rung.name, rung.frame_rate) for rung in done.manifest.renditions] == [
        ("360p", 30.0),
        ("480p", 30.0),
        ("720p", 60.0),
    ]
    for rung in done.manifest.renditions:
        check_rung(tmp_path / "out", rung, has_audio=False)


@pytest.mark.parametrize(("transfer", "kind"), [("smpte2084", "pq"), ("arib-std-b67", "hlg")])
async def test_hdr_becomes_sdr_with_its_colours(transfer: str, kind: str, tmp_path: Path) -> None:
    """Grey stays grey, bars keep their hues, and nothing is washed out or black."""
    filters = f"zscale=tin=709:min=709:pin=709:t={transfer}:m=2020_ncl:p=2020:npl=203,format=yuv420p10le"
    source = tmp_path / "in.mp4"
    run(
        *("-v", "error", "-f", "lavfi", "-i", "smptebars=size=320x240:rate=25:duration=0.6"),
        *("-vf", filters, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params"),
        f"log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc",
        str(source),
    )
    done, probed = await made(source, tmp_path / "out")
    assert probed.hdr == kind
    with av.open(str(tmp_path / "out" / f"{done.manifest.renditions[0].name}.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_trc, frame.color_primaries) == (1, 1, 1)
        rgb = frame.to_ndarray(format="rgb24")[20:120].astype(int)
    bars = [rgb[:, 10 + place * 320 // 7 : 35 + place * 320 // 7].reshape(-1, 3).mean(axis=0) for place in range(7)]
    grey, yellow, cyan, green, magenta, red, blue = bars
    assert np.ptp(grey) < 8
    assert 150 < grey.mean() < 235
    for bar, high, low in ((yellow, 0, 2), (cyan, 1, 0), (green, 1, 0), (magenta, 0, 1), (red, 0, 1), (blue, 2, 0)):
        assert bar[high] > bar[low] + 60


async def test_interlaced_pictures_lose_their_combs(tmp_path: Path) -> None:
    options = ("-vf", "interlace", "-c:v", "libx264", "-preset", "ultrafast", "-flags", "+ildct+ilme")
    source = make(tmp_path / "in.ts", *options, size="320x240", rate="50", seconds=0.8, sound=False)
    done, probed = await made(source, tmp_path / "out")
    assert probed.interlaced
    check_rung(tmp_path / "out", done.manifest.renditions[0], has_audio=False)
