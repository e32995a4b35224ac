"""Our ladder against one ffmpeg process that makes the same rungs from a split filter graph. `make bench-packager`.

Same clip, same machine, runs taken in turn; same x264 preset, CRF, ceiling, buffer and cuts. The peer is the ffmpeg
that imageio-ffmpeg carries. Ours does more in its time (loudness measured and levelled, poster, preview, storyboard,
analysis files, hashes, fingerprint, playlists); nothing is taken off for it.

    python -m bench.packager [--pairs 3] [--clips hd-15s,hd-60s] [--skip-quality] [--frame-memory-mib 0]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg

from packager.encoder.rung_encoder import BUFFER_S
from packager.ladder import AUDIO_BPS, Rung, rungs_of
from popreel.demo_clips import clip_path

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "media"
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measured run."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    first_rung_s: float | None = None


def measured(command: Sequence[str]) -> tuple[Run, str]:
    """Run a command to its end: wall, CPU of it and all it waited for, largest resident set of any of them."""
    with tempfile.TemporaryFile("w+") as output:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:4])} ... failed:\n{text[-2000:]}")
    return Run(wall_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime, peak_mib=usage.ru_maxrss / 1024), text


def ours(source: Path, out_dir: Path, *, frame_memory_mib: int = -1) -> Run:
    """`frame_memory_mib`: decoded pictures held, instead of what the limits say by default."""
    held = frame_memory_mib << 20 if frame_memory_mib >= 0 else -1
    run, text = measured([sys.executable, "-m", "bench._package_once", str(source), str(out_dir), str(held)])
    first = json.loads(text.strip().splitlines()[-1])["firstRungS"]
    return Run(wall_s=run.wall_s, cpu_s=run.cpu_s, peak_mib=run.peak_mib, first_rung_s=first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How the peer encodes: as we do, at the named bit rates (`fixed`), or as we do, but somewhat larger."""

    fixed: bool = False
    larger: float = 1.0


def theirs(source: Path, rungs: Sequence[Rung], out_dir: Path, rates: Sequence[Rate] | None = None) -> Run:
    """One ffmpeg process, one decode, a split filter graph."""
    out_dir.mkdir(parents=True, exist_ok=True)
    count = len(rungs)
    graph = f"[0:v]split={count}" + "".join(f"[s{place}]" for place in range(count))
    for place, rung in enumerate(rungs):
        graph += f";[s{place}]scale={rung.width}:{rung.height}:flags=bicubic[v{place}]"
    command = [FFMPEG, "-v", "error", "-y", "-i", str(source), "-filter_complex", graph]
    for place, rung in enumerate(rungs):
        rate = rates[place] if rates else Rate()
        command += ["-map", f"[v{place}]", "-map", "0:a:0", *_x264(rung, rate), "-c:a", "aac"]
        command += ["-b:a", str(AUDIO_BPS), "-ar", "48000", "-ac", "2"]
        command += ["-movflags", "+frag_keyframe+empty_moov+default_base_moof", str(out_dir / f"{rung.name}.mp4")]
    run, _ = measured(command)
    return run


def _x264(rung: Rung, chosen: Rate) -> list[str]:
    forced = "+".join(f"eq(n,{cut})" for cut in rung.cuts)
    keyint = max(after - cut for cut, after in zip(rung.cuts, (*rung.cuts[1:], rung.total_frames), strict=True)) + 1
    crf = rung.crf - 6 * math.log2(chosen.larger)  # six steps of CRF are about twice the bits
    ceiling = rung.ceiling_bps * chosen.larger
    rate = ["-b:v", str(rung.ceiling_bps)] if chosen.fixed else ["-crf", f"{crf:.3f}"]
    return [
        *("-c:v", "libx264", "-preset", rung.preset, "-profile:v", "high", *rate),
        *("-maxrate", str(int(ceiling)), "-bufsize", str(int(ceiling * BUFFER_S))),
        *("-forced-idr", "1", "-force_key_frames", f"expr:{forced}"),
        *("-x264-params", f"keyint={keyint}:min-keyint=1:scenecut=0:open-gop=0:rc-lookahead=20:vbv-init=0.6"),
    ]


def ladder_of(source: Path) -> tuple[tuple[Rung, ...], float]:
    with av.open(str(source)) as container:
        video = container.streams.video[0]
        rate = video.average_rate or Fraction(30)
        return rungs_of(video.width, video.height, rate, video.frames), float(video.frames / rate)


def video_kbps(path: Path, seconds: float) -> float:
    with av.open(str(path)) as container:
        return sum(packet.size for packet in container.demux(video=0)) * 8 / seconds / 1000


def ssim(source: Path, rung: Rung, path: Path) -> float:
    """SSIM of a rung against the source scaled to its size by Lanczos."""
    # Both from zero (the peer's file starts with its reordering delay) and with the same tags (ours says BT.709 where
    # the source says nothing, and FFmpeg would convert one of them for the comparison).
    same = "setpts=PTS-STARTPTS,setparams=colorspace=bt709:range=tv:color_primaries=bt709:color_trc=bt709"
    graph = f"[0:v]{same},scale={rung.width}:{rung.height}:flags=lanczos[r];[1:v]{same}[d];[d][r]ssim"
    command = [FFMPEG, "-hide_banner", "-i", str(source), "-i", str(path), "-filter_complex", graph, "-f", "null", "-"]
    text = subprocess.run(command, capture_output=True, check=True).stderr.decode()
    return float(text.rsplit("All:", 1)[1].split()[0])


def compare(name: str, source: Path, scratch: Path, options: Options) -> dict[str, object]:
    rungs, seconds = ladder_of(source)
    print(f"\n{name}: {seconds:.1f} s, rungs {', '.join(rung.name for rung in rungs)}, {options.pairs} pairs in turn")
    mine: list[Run] = []
    peer: list[Run] = []
    for _ in range(options.pairs):
        mine.append(ours(source, scratch / f"{name}-ours", frame_memory_mib=options.frame_memory_mib))
        peer.append(theirs(source, rungs, scratch / f"{name}-ffmpeg"))
        print(f"  ours   {mine[-1]}\n  ffmpeg {peer[-1]}", flush=True)
    first = statistics.median(run.first_rung_s or 0.0 for run in mine)
    result: dict[str, object] = {
        "clip": name,
        "seconds": round(seconds, 2),
        "wallRatio": _ratio([run.wall_s for run in mine], [run.wall_s for run in peer]),
        "cpuRatio": _ratio([run.cpu_s for run in mine], [run.cpu_s for run in peer]),
        "firstRungPerSecond": round(first / seconds, 3),
        "readyS": round(statistics.median(run.wall_s for run in mine), 2),
        "peakMib": {"ours": round(max(run.peak_mib for run in mine)), "ffmpeg": round(max(r.peak_mib for r in peer))},
        "runs": {"ours": [asdict(run) for run in mine], "ffmpeg": [asdict(run) for run in peer]},
    }
    print(f"  wall ratio {result['wallRatio']}, CPU ratio {result['cpuRatio']} (below 1: ours is faster)")
    print(f"  first rung playable after {first:.2f} s = {first / seconds:.2f} x the clip; peak MiB {result['peakMib']}")
    if options.quality:
        result["rungs"] = _quality(source, rungs, seconds, scratch / f"{name}-ours", scratch / f"{name}-ffmpeg")
    return result


def _ratio(mine: list[float], peer: list[float]) -> float:
    """Median of the ratios of runs that followed each other."""
    return round(statistics.median(own / other for own, other in zip(mine, peer, strict=True)), 3)


def _quality(source: Path, rungs: Sequence[Rung], seconds: float, mine: Path, peer: Path) -> list[dict[str, object]]:
    """SSIM of ours against the peer's at the same settings, at our size, and at the named bit rates."""
    files = {
        label: [folder / f"{rung.name}.mp4" for rung in rungs] for label, folder in (("ours", mine), ("same", peer))
    }
    sizes = {label: [video_kbps(path, seconds) for path in paths] for label, paths in files.items()}
    larger = [own / other for own, other in zip(sizes["ours"], sizes["same"], strict=True)]
    for label, rates in (
        ("equal", [Rate(larger=ratio) for ratio in larger]),
        ("fixed", [Rate(fixed=True)] * len(rungs)),
    ):
        theirs(source, rungs, folder := peer.with_name(f"{peer.name}-{label}"), rates)
        files[label] = [folder / f"{rung.name}.mp4" for rung in rungs]
    rows: list[dict[str, object]] = []
    print("  rung     ours: SSIM  kbit/s    ffmpeg same settings    ffmpeg at our size    ffmpeg fixed bit rate")
    for place, rung in enumerate(rungs):
        row: dict[str, object] = {"rung": rung.name}
        text = f"  {rung.name:6}"
        for label, paths in files.items():
            value, kbps = ssim(source, rung, paths[place]), video_kbps(paths[place], seconds)
            row[label] = {"ssim": round(value, 4), "kbps": round(kbps)}
            text += f"      {value:.4f}  {kbps:7.0f}"
        rows.append(row)
        print(text, flush=True)
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    pairs: int
    quality: bool
    frame_memory_mib: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--clips", default="hd-15s,hd-60s")
    parser.add_argument("--skip-quality", action="store_true")
    parser.add_argument(
        "--frame-memory-mib", type=int, default=-1, help="decoded pictures held, instead of the default"
    )
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    options = Options(pairs=given.pairs, quality=not given.skip_quality, frame_memory_mib=given.frame_memory_mib)
    results = []
    with tempfile.TemporaryDirectory(prefix="popreel-bench-") as scratch:
        for name in given.clips.split(","):
            source = asyncio.run(clip_path(name, CACHE))
            results.append(compare(name, source, Path(scratch), options))
    if given.json:
        given.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
