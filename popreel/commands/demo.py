"""`popreel demo`: users, real clips and likes, so that there is something to swipe through."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Console

from popreel.client.api import send
from popreel.client.retry import patiently
from popreel.client.upload import Description, Outcome
from popreel.commands.context import Context
from popreel.commands.services import Services, open_services
from popreel.commands.upload import progress_bars, upload_watch, uploader_of
from popreel.demo_clips import ClipsUnavailable, DemoClip, demo_clips
from popreel.errors import LauncherError

VIEWERS = ("ana", "ben", "chidi", "dora", "emre")
CLIP_CACHE = Path(__file__).parents[2] / ".cache" / "media"
_ENOUGH = 6
_AT_ONCE = 2


class DemoResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What `popreel demo` made."""

    outcomes: list[Outcome]
    users: list[str]
    likes: int
    pops: list[str]
    """Where to look."""

    @property
    def complete(self) -> bool:
        """At least six clips are ready and none failed."""
        return sum(outcome.ready for outcome in self.outcomes) >= min(_ENOUGH, len(self.outcomes)) and all(
            outcome.ready for outcome in self.outcomes
        )


async def run_demo(context: Context, *, quiet: bool) -> DemoResult:
    """Upload every demo clip as its creator, then let viewers like some. Raises NotRunning, LauncherError."""
    context.ready()
    clips = await _clips(context.out, quiet=quiet)
    async with open_services(context) as services:
        outcomes = await _upload_all(context.out, services, clips, quiet=quiet)
        ready = [outcome.video_id for outcome in outcomes if outcome.ready]
        likes = await _like_some(services, ready)
        creators = list(dict.fromkeys(clip.creator for clip in clips))
        return DemoResult(
            outcomes=outcomes,
            users=[*creators, *VIEWERS],
            likes=likes,
            pops=[services.urls[pop.pop_id] for pop in context.settings.pops],
        )


async def _clips(out: Console, *, quiet: bool) -> list[DemoClip]:
    if not quiet:
        out.print(f"fetching clips out of packages into {CLIP_CACHE} (about 95 MB the first time)", soft_wrap=True)
    try:
        return await demo_clips(CLIP_CACHE)
    except ClipsUnavailable as err:
        raise LauncherError(f"the demo's clips are not to be had: {err}") from err


async def _upload_all(out: Console, services: Services, clips: Sequence[DemoClip], *, quiet: bool) -> list[Outcome]:
    slots = asyncio.Semaphore(_AT_ONCE)
    with progress_bars(out, quiet=quiet) as bars:

        async def one(clip: DemoClip) -> Outcome:
            description = Description(title=clip.title, description=clip.description, hashtags=clip.hashtags)
            async with slots, uploader_of(services, clip.creator) as uploader:
                return await uploader.upload(clip.path, description, watch=upload_watch(bars, clip.path))

        return list(await asyncio.gather(*(one(clip) for clip in clips)))


async def _like_some(services: Services, video_ids: Sequence[str]) -> int:
    """Each viewer likes about half of the videos, the same half at every run."""
    likes = 0
    for viewer in VIEWERS:
        taste = random.Random(viewer)
        token = (await services.user(viewer)).access_token
        for video_id in video_ids:
            if taste.random() < 0.5:
                url = f"{services.pop_url}/api/v1/videos/{video_id}/like"
                await patiently(partial(send, services.session, "POST", url, bearer=token))
                likes += 1
    return likes


def print_demo(out: Console, result: DemoResult) -> None:
    ready = sum(outcome.ready for outcome in result.outcomes)
    out.print(f"{ready} of {len(result.outcomes)} clips are ready, {len(result.users)} users, {result.likes} likes")
    for outcome in result.outcomes:
        if not outcome.ready:
            out.print(f"  {outcome.file}: {outcome.reason or outcome.code}", style="red", markup=False, soft_wrap=True)
    out.print(f"open {' or '.join(result.pops)}")
