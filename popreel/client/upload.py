"""One file through the public upload API, from init to the first moment it plays."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import aiohttp
import msgspec

from foundation.errors import BadInput, PopreelError, Unavailable
from packager.edits import Edits
from popreel.client.api import exchange
from popreel.client.retry import patiently
from popreel.errors import Refused


class Visibility(StrEnum):
    """Who may see a video."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    FOLLOWERS = "followers"
    PRIVATE = "private"


_PARTS_AT_ONCE = 3
_POLL_S = 0.25
_ENDED = frozenset({"ready", "review", "blocked", "failed", "deleted"})
_SILENCE_S = 360.0
"""Processing without any change for this long counts as lost: above the platform's own limit of five minutes."""


class Ticket(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Reply of init, as far as we use it."""

    video_id: str
    upload_url: str
    chunk_size: int


class Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Reply of complete and status, as far as we use it."""

    video_id: str
    state: str
    stage: str = ""
    progress: float = 0.0
    reason: str | None = None
    code: str | None = None
    urls: dict[str, str] = msgspec.field(default_factory=dict)


class Description(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of complete."""

    title: str = ""
    description: str = ""
    hashtags: tuple[str, ...] = ()
    visibility: Visibility = Visibility.PUBLIC
    music_id: str | None = None
    partner_id: str | None = None
    edits: Edits | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of one file."""

    file: str
    video_id: str = ""
    state: str = "failed"
    code: str | None = None
    reason: str | None = None
    upload_s: float = 0.0
    """From init until the last byte was acknowledged."""
    ready_s: float = 0.0
    """From the last byte until it was published (or refused)."""
    urls: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return self.state == "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Told as it goes: bytes acknowledged, then stage and share (0 to 1) of the processing."""

    sent_bytes: int
    total_bytes: int
    stage: str = ""
    share: float = 0.0


Watch = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploader:
    """Uploads as one user. `base_url`: a PoP or the origin. Needs a session without a total timeout."""

    session: aiohttp.ClientSession
    base_url: str
    token: Callable[[], str] = field(repr=False)
    """A current access token; asked before every call."""

    async def upload(self, file: Path, description: Description, *, watch: Watch) -> Outcome:
        """Send `file` and wait until it plays or is refused; never raises for a single file, see Outcome."""
        try:
            return await self._upload(file, description, watch)
        except OSError as err:
            return Outcome(file=str(file), code="unreadable", reason=err.strerror or str(err))
        except Refused as err:
            return Outcome(file=str(file), code=err.problem_code or err.code, reason=err.detail)
        except PopreelError as err:
            return Outcome(file=str(file), code=err.code, reason=err.detail)

    async def _upload(self, file: Path, description: Description, watch: Watch) -> Outcome:
        size = (await asyncio.to_thread(file.stat)).st_size
        if size == 0:
            raise BadInput(f"{file.name} is empty")
        began_s = time.monotonic()
        ticket = await self.init(file.name, size)
        await self._send_parts(file, size, ticket, watch)
        sent_s = time.monotonic()
        await self.complete(ticket.video_id, description)
        status = await self.follow(
            ticket.video_id,
            lambda status: watch(
                Progress(sent_bytes=size, total_bytes=size, stage=status.stage, share=status.progress)
            ),
        )
        watch(Progress(sent_bytes=size, total_bytes=size, stage=status.state, share=1.0))
        return Outcome(
            file=str(file),
            video_id=ticket.video_id,
            state=status.state,
            code=status.code,
            reason=status.reason,
            upload_s=round(sent_s - began_s, 3),
            ready_s=round(time.monotonic() - sent_s, 3),
            urls=status.urls,
        )

    async def init(self, name: str, size: int) -> Ticket:
        """Announce a file of `size` bytes. Raises Refused (quota, size, name)."""
        key = secrets.token_hex(16)  # one for all tries: a repeated init is the same upload
        return await patiently(
            lambda: exchange(
                self.session,
                "POST",
                f"{self.base_url}/api/v1/videos/upload/init",
                bearer=self.token(),
                reply=Ticket,
                body={"filename": name, "filesize": size},
                headers={"Idempotency-Key": key},
            )
        )

    async def _send_parts(self, file: Path, size: int, ticket: Ticket, watch: Watch) -> None:
        """Every part once acknowledged, a few at a time; memory: a few chunks."""
        slots, sent = asyncio.Semaphore(_PARTS_AT_ONCE), 0

        async def send(offset: int) -> None:
            nonlocal sent
            async with slots:
                chunk = await asyncio.to_thread(_read, file, offset, min(ticket.chunk_size, size - offset))
                await self.put_part(ticket, offset // ticket.chunk_size + 1, chunk)
                sent += len(chunk)
                watch(Progress(sent_bytes=sent, total_bytes=size))

        tasks = [asyncio.create_task(send(offset)) for offset in range(0, size, ticket.chunk_size)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def put_part(self, ticket: Ticket, number: int, chunk: bytes) -> None:
        """Send part `number` (from 1); sending one again is harmless."""
        url = ticket.upload_url if "://" in ticket.upload_url else f"{self.base_url}{ticket.upload_url}"
        await patiently(
            lambda: exchange(
                self.session,
                "PUT",
                f"{url}?part={number}",
                bearer=self.token(),
                reply=dict,
                data=chunk,
                headers={"Content-Type": "application/octet-stream"},
            )
        )

    async def complete(self, video_id: str, description: Description) -> Status:
        return await patiently(
            lambda: exchange(
                self.session,
                "POST",
                f"{self.base_url}/api/v1/videos/{video_id}/upload/complete",
                bearer=self.token(),
                reply=Status,
                body=description,
            )
        )

    async def status(self, video_id: str) -> Status:
        url = f"{self.base_url}/api/v1/videos/{video_id}/status"
        return await patiently(lambda: exchange(self.session, "GET", url, bearer=self.token(), reply=Status))

    async def follow(self, video_id: str, tell: Callable[[Status], None]) -> Status:
        """Poll until the video plays or is refused. Raises Unavailable after six minutes without any change."""
        last, changed_s = None, time.monotonic()
        while True:
            status = await self.status(video_id)
            if status != last:
                last, changed_s = status, time.monotonic()
                tell(status)
            if status.state in _ENDED:
                return status
            if time.monotonic() - changed_s > _SILENCE_S:
                raise Unavailable(f"video {video_id} is {status.state} ({status.stage}) without progress")
            await asyncio.sleep(_POLL_S)


def _read(file: Path, offset: int, length: int) -> bytes:
    with file.open("rb") as handle:
        handle.seek(offset)
        return handle.read(length)
