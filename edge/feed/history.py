"""A viewer who roams: the last watches from the origin, asked for once, when this PoP meets a signed-in viewer
first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import quote

import aiohttp
import msgspec

from foundation.settings import Secret
from foundation.wire.events import EventBatch, WatchEvent

_LIMIT = 200
"""Half-lives end at 128 events; what is older hardly counts."""


class ViewerHistory(Protocol):
    async def recent(self, viewer_id: str) -> Sequence[WatchEvent]:
        """Oldest first; empty when there is none or the origin does not answer in time. Never raises."""
        ...


class NoHistory:
    async def recent(self, viewer_id: str) -> Sequence[WatchEvent]:
        return ()


class HttpViewerHistory:
    """GET /internal/v1/viewers/{viewer}/events with the service key. `session` is the composition's."""

    def __init__(
        self, session: aiohttp.ClientSession, *, base_url: str, service_key: Secret, wait_s: float = 0.15
    ) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {str.__str__(service_key)}"}
        self._wait_s = wait_s

    async def recent(self, viewer_id: str) -> Sequence[WatchEvent]:
        url = f"{self._base_url}/internal/v1/viewers/{quote(viewer_id, safe=':')}/events"
        try:
            async with (
                asyncio.timeout(self._wait_s),
                self._session.get(url, params={"limit": str(_LIMIT)}, headers=self._headers) as reply,
            ):
                if reply.status != 200:
                    return ()
                return msgspec.json.decode(await reply.read(), type=EventBatch).events
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError):
            return ()
