"""The pathways as they are now: CDNs from the settings, PoPs polled from the control plane.

When the control plane is away the last known fleet stays: routing must not depend on it.
"""

from __future__ import annotations

import asyncio
import logging

import aiohttp
import msgspec

from cdn_router.policy import Kind, Pathway
from cdn_router.settings import RouterSettings
from foundation.wire.pops import PopView

_log = logging.getLogger(__name__)
_TIMEOUT_S = 3.0
_pops_decoder = msgspec.json.Decoder(tuple[PopView, ...])


class Fleet:
    """Owns the polling task; `pathways` is replaced whole, never changed."""

    def __init__(self, settings: RouterSettings, session: aiohttp.ClientSession) -> None:
        self._settings = settings
        self._session = session
        self._cdns = tuple(
            Pathway(id=c.id, kind=Kind.CDN, base_url=c.base_url, serves=c.serves, tiers=c.tiers, enabled=c.enabled)
            for c in settings.cdns
        )
        self.pathways: tuple[Pathway, ...] = self._cdns
        self.seen_registry = False

    async def follow(self) -> None:
        """Poll until cancelled; logs the first failure of a row, not its echoes."""
        failing = False
        while True:
            try:
                self.pathways = (*await self._pops(), *self._cdns)
                self.seen_registry = True
                failing = False
            except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as err:
                if not failing:
                    _log.warning("registry not reachable: %s", err, extra={"event": "registry_unreachable"})
                failing = True
            await asyncio.sleep(self._settings.poll_s)

    async def _pops(self) -> tuple[Pathway, ...]:
        headers = {"Authorization": f"Bearer {str.__str__(self._settings.service_key)}"}
        url = f"{self._settings.control_plane_url}/internal/v1/pops"
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with self._session.get(url, headers=headers, timeout=timeout, raise_for_status=True) as answer:
            pops = _pops_decoder.decode(await answer.read())
        return tuple(
            Pathway(
                id=pop.pop_id,
                kind=Kind.POP,
                base_url=pop.base_url,
                region=pop.region,
                healthy=pop.state == "active",
                enabled=pop.state != "draining",
            )
            for pop in pops
        )
