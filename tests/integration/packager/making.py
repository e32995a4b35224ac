"""Small inputs of every shape, made on the spot with the ffmpeg that imageio-ffmpeg carries."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
PICTURE = "testsrc2=size={size}:rate={rate}:duration={seconds}"
TONE = "sine=frequency=440:sample_rate=48000:duration={seconds}"


def make(
    path: Path,
    *options: str,
    size: str = "480x360",
    rate: str = "30",
    seconds: float = 1.5,
    sound: bool = True,
) -> Path:
    """Encode a moving test picture (and a tone) with ffmpeg's output `options`; the suffix picks the container."""
    command = [FFMPEG, "-v", "error", "-y", "-f", "lavfi", "-i", PICTURE.format(size=size, rate=rate, seconds=seconds)]
    if sound:
        command += ["-f", "lavfi", "-i", TONE.format(seconds=seconds)]
    run(*command[1:], *options, str(path))
    return path


def run(*arguments: str) -> bytes:
    """Run ffmpeg; returns its standard output. Raises with its complaint."""
    done = subprocess.run([FFMPEG, *arguments], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-800:]
    return done.stdout


H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac")
