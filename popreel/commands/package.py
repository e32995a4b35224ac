"""`popreel package`: the packager as a plain program."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from foundation.wire.media import MediaManifest
from packager.cli import package_to_folder, read_edits
from packager.edits import NO_EDITS
from packager.events import Event, Progress


async def package_file(
    out: Console,
    file: Path,
    outdir: Path,
    *,
    quiet: bool,
    edits: str | None = None,
    sound: Path | None = None,
    partner: Path | None = None,
) -> MediaManifest:
    """Package `file` into `outdir` and say what was made. Raises BadInput, RefusedInput, PackagingFailed."""
    wanted = NO_EDITS if edits is None else read_edits(edits)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[what]}"), TimeElapsedColumn())
    with Bars(*columns, console=out, disable=quiet) as bars:
        task = bars.add_task(escape(file.name), total=1.0, what="")

        def show(event: Event) -> None:
            if isinstance(event, Progress):
                bars.update(task, completed=event.fraction, what=str(event.stage))

        manifest = await package_to_folder(file, outdir, wanted, show, sound=sound, partner=partner)
        bars.update(task, completed=1.0, what="done")
    if not quiet:
        rungs = ", ".join(rendition.name for rendition in manifest.renditions)
        out.print(
            f"{outdir / 'master.m3u8'}: {manifest.duration_ms / 1000:.1f} s, {rungs}", soft_wrap=True, markup=False
        )
    return manifest
