"""Short portrait clips for the start bench: cut from one film, uploaded to a platform of the bench's own."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import imageio_ffmpeg

from popreel.demo_clips import clip_path
from popreel.lab.throwaway import ThrowawayPlatform

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "media"
CLIP_S = 6
_STRIDE_S = 17
"""Seconds of film from one clip's start to the next: every clip shows another scene."""
PER_CREATOR = 10
"""A feed spreads creators; the cold run swipes through one profile after the other."""


def cut_clips(count: int) -> list[Path]:
    """`count` clips of 540x960, made once and kept."""
    film = asyncio.run(clip_path("bbb", CACHE))
    folder = CACHE / "start"
    folder.mkdir(parents=True, exist_ok=True)
    clips = [folder / f"scene-{number:02}.mp4" for number in range(count)]
    for number, clip in enumerate(clips):
        if not clip.is_file():
            _cut(film, clip, start_s=30 + number * _STRIDE_S)
    return clips


def _cut(film: Path, clip: Path, *, start_s: int) -> None:
    made = clip.with_suffix(".part.mp4")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-ss", str(start_s), "-t", str(CLIP_S), "-i", film]
    command += ["-vf", "crop=ih*9/16:ih,scale=540:960", "-c:v", "libx264", "-preset", "veryfast", "-crf", "20"]
    command += ["-c:a", "aac", "-ac", "2", made]
    subprocess.run(command, check=True)
    made.rename(clip)


def upload(platform: ThrowawayPlatform, clips: list[Path]) -> list[str]:
    """The video ids, in order. Raises RuntimeError when one is not ready."""
    ids: list[str] = []
    for number in range(0, len(clips), PER_CREATOR):
        creator = f"bench_{number // PER_CREATOR}"
        sent = platform.popreel(
            "upload", *clips[number : number + PER_CREATOR], "--as", creator, "--json", timeout_s=1800
        )
        if sent.returncode != 0:
            raise RuntimeError(f"upload failed: {sent.stdout[-600:]}{sent.stderr[-600:]}")
        ids += [entry["videoId"] for entry in json.loads(sent.stdout)]
    return ids
