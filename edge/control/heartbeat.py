"""The heartbeat: how a PoP registers, tells its state and acknowledges purges."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec

from foundation.settings import Secret
from foundation.wire.pops import PopDirective, PopHeartbeat

_log = logging.getLogger(__name__)
_TIMEOUT = aiohttp.ClientTimeout(total=5)


class Heartbeat:
    """Sends what `observe` returns every `every_s`; `directive` is the last answer. A beat missed is just missed."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        control_plane_url: str,
        service_key: Secret,
        every_s: float,
        observe: Callable[[], Awaitable[PopHeartbeat]],
        told: Callable[[PopDirective], None] = lambda directive: None,
    ) -> None:
        """`told` gets every answer; it must not block."""
        self._told = told
        self._session = session
        self._url = f"{control_plane_url}/internal/v1/pops"
        self._headers = {
            "Authorization": f"Bearer {str.__str__(service_key)}",
            "Content-Type": "application/json",
        }
        self._every_s = every_s
        self._observe = observe
        self.directive = PopDirective()

    async def run(self) -> None:
        """Beat until cancelled."""
        failing = False
        while True:
            try:
                await self._beat()
                failing = False
            except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as err:
                if not failing:
                    _log.warning("control plane not reachable: %s", err, extra={"event": "control_plane_unreachable"})
                failing = True
            await asyncio.sleep(self._every_s)

    async def _beat(self) -> None:
        state = await self._observe()
        body = msgspec.json.encode(state)
        url = f"{self._url}/{state.pop_id}"
        async with self._session.put(
            url, data=body, headers=self._headers, timeout=_TIMEOUT, raise_for_status=True
        ) as answer:
            self.directive = msgspec.json.decode(await answer.read(), type=PopDirective)
        self._told(self.directive)
