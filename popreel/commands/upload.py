"""`popreel upload`: files through the public API of the first PoP, with progress of upload and processing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from foundation.errors import PopreelError
from popreel.client.upload import Description, Outcome, Progress, Uploader, Watch
from popreel.commands.context import Context
from popreel.commands.services import Services, open_services

_FILES_AT_ONCE = 2
_TOKEN_LIFE_S = 600.0
"""Access tokens last 900 s; a new one is fetched well before."""
_TRY_AGAIN_S = 5.0


async def upload_files(
    context: Context, files: Sequence[Path], *, user: str, description: Description, quiet: bool
) -> list[Outcome]:
    """Upload every file as `user` (made if new); outcomes in the order of `files`. Raises NotRunning, Refused."""
    async with open_services(context) as services, uploader_of(services, user) as uploader:
        slots = asyncio.Semaphore(_FILES_AT_ONCE)
        with progress_bars(context.out, quiet=quiet) as bars:

            async def one(file: Path) -> Outcome:
                async with slots:
                    return await uploader.upload(file, _described(description, file), watch=upload_watch(bars, file))

            return list(await asyncio.gather(*(one(file) for file in files)))


@asynccontextmanager
async def uploader_of(services: Services, user: str) -> AsyncIterator[Uploader]:
    """An uploader that acts as `user` through the first PoP and renews its token."""
    current = [(await services.user(user)).access_token]

    async def renew() -> None:
        pause_s = _TOKEN_LIFE_S
        while True:
            await asyncio.sleep(pause_s)
            try:
                current[0], pause_s = (await services.user(user)).access_token, _TOKEN_LIFE_S
            except PopreelError:  # the origin is being started again: the token we have is good for a while
                pause_s = _TRY_AGAIN_S

    renewing = asyncio.create_task(renew())
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield Uploader(session=session, base_url=services.pop_url, token=lambda: current[0])
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


def _described(description: Description, file: Path) -> Description:
    title = description.title or file.stem.replace("_", " ").replace("-", " ")
    return msgspec.structs.replace(description, title=title[:150])


def progress_bars(out: Console, *, quiet: bool) -> Bars:
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[what]}"),
        TimeElapsedColumn(),
        console=out,
        disable=quiet,
    )


def upload_watch(bars: Bars, file: Path) -> Watch:
    name = escape(file.name[:32])
    upload = bars.add_task(f"{name}: upload", total=None, what="")
    process = bars.add_task(f"{name}: processing", total=1.0, what="waiting", start=False)

    def watch(progress: Progress) -> None:
        sent = f"{progress.sent_bytes / 1e6:.1f} of {progress.total_bytes / 1e6:.1f} MB"
        bars.update(upload, completed=progress.sent_bytes, total=progress.total_bytes, what=sent)
        if progress.stage:
            bars.start_task(process)
            bars.update(process, completed=progress.share, what=progress.stage)

    return watch


def print_outcomes(out: Console, outcomes: Sequence[Outcome]) -> None:
    """One line for each file."""
    for outcome in outcomes:
        if outcome.ready:
            times = f"uploaded in {outcome.upload_s:.1f} s, ready {outcome.ready_s:.1f} s later"
            out.print(f"[green]ready[/] {escape(outcome.file)} -> {outcome.video_id} ({times})", soft_wrap=True)
        else:
            why = escape(f"{outcome.file}: {outcome.reason or outcome.code}")
            out.print(f"[red]{outcome.state}[/] {why}", soft_wrap=True)
