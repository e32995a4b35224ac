"""`popreel sounds add`: a file into the sound library of this installation, as its operator."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import msgspec

from foundation.errors import Unavailable
from packager.sniff import HEAD_BYTES, sound_demuxer_of
from popreel.client.api import exchange, refusal
from popreel.commands.context import Context
from popreel.commands.services import Services, open_services
from popreel.errors import Refused

_POLL_S = 0.25
_PATIENCE_S = 360.0
"""A worker gives up after five minutes."""


class SoundEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A sound as the API shows it, as far as we use it."""

    id: str
    title: str
    state: str
    duration_ms: int = 0
    reason: str | None = None


async def add_sound(
    context: Context, file: Path, *, title: str, artist: str, licence: str, sound_id: str | None
) -> SoundEntry:
    """Add `file` as a new sound, or give it to the sound `sound_id`, and wait until clips can use it.

    Raises NotRunning, RefusedInput, Refused, Unavailable, OSError.
    """
    data = await asyncio.to_thread(file.read_bytes)
    sound_demuxer_of(data[:HEAD_BYTES])  # before a row is made for it
    async with open_services(context) as services:
        if sound_id is None:
            body = {"title": title or file.stem.replace("_", " "), "artist": artist, "licence": licence}
            made = await services.call(
                "POST", _url(services), bearer=services.operator_key, reply=SoundEntry, body=body
            )
            sound_id = made.id
        await _send(services, sound_id, data)
        return await _prepared(services, sound_id)


async def _send(services: Services, sound_id: str, data: bytes) -> None:
    url = f"{_url(services)}/{sound_id}/file"
    headers = {"Content-Type": "application/octet-stream"}
    try:
        await exchange(
            services.session, "PUT", url, bearer=services.operator_key, reply=SoundEntry, data=data, headers=headers
        )
    except (TimeoutError, aiohttp.ClientError) as err:
        raise Unavailable(f"{url} does not answer: {err}") from err


async def _prepared(services: Services, sound_id: str) -> SoundEntry:
    """Follow the sound until its file is ready. Raises Refused with the reason if it cannot be used."""
    url = f"{services.urls['origin']}/api/v1/sounds/{sound_id}"
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            sound = await _seen(services, url)
            if sound.reason is not None:
                raise Refused(f"sound {sound_id}: {sound.reason} Send another file with --id {sound_id}.")
            if sound.state == "ready":
                return sound
            await asyncio.sleep(_POLL_S)


async def _seen(services: Services, url: str) -> SoundEntry:
    """As anybody sees it: an operator's key opens operators' routes only."""
    try:
        async with services.session.get(url) as answer:
            raw = await answer.read()
    except (TimeoutError, aiohttp.ClientError) as err:
        raise Unavailable(f"{url} does not answer: {err}") from err
    if answer.status != 200:
        raise refusal(raw, status=answer.status)
    return msgspec.json.decode(raw, type=SoundEntry)


def _url(services: Services) -> str:
    return f"{services.urls['origin']}/api/v1/admin/sounds"
