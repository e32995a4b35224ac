"""Public keys of access tokens: fetched from the origin, kept on disk, so that a PoP verifies with the centre away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec

from foundation.errors import Unavailable
from foundation.http.guard import PublicKeys
from foundation.tokens.access import read_jwks

_log = logging.getLogger(__name__)
_LIFE_S = 600.0
_MIN_REFETCH_S = 5.0
_TIMEOUT = aiohttp.ClientTimeout(total=5)


class RemoteKeys:
    """The origin's JWKS. One fetch at a time; an unknown key id causes a refetch at most every few seconds, so that
    forged key ids cannot flood the origin."""

    def __init__(
        self,
        *,
        url: str,
        session: aiohttp.ClientSession,
        kept: Path,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._session = session
        self._kept = kept
        self._clock_s = clock_s
        self._keys: PublicKeys = {}
        self._fetched_s: float | None = None
        self._lock = asyncio.Lock()  # guards a fetch under way

    async def keys(self, refresh: bool) -> PublicKeys:
        """Keys by id. Raises Unavailable while none could ever be had."""
        async with self._lock:
            if self._due(refresh):
                await self._fetch()
        if not self._keys:
            raise Unavailable("the keys of access tokens are not here yet", retry_after_s=2)
        return self._keys

    def _due(self, refresh: bool) -> bool:
        if self._fetched_s is None:
            return True
        age_s = self._clock_s() - self._fetched_s
        return age_s > (_MIN_REFETCH_S if refresh or not self._keys else _LIFE_S)

    async def _fetch(self) -> None:
        self._fetched_s = self._clock_s()
        try:
            async with self._session.get(self._url, timeout=_TIMEOUT, raise_for_status=True) as answer:
                raw = await answer.read()
            self._keys = read_jwks(msgspec.json.decode(raw))
            await asyncio.to_thread(_write, self._kept, raw)
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as err:
            _log.warning("keys not fetched: %s", err, extra={"event": "jwks_unreachable"})
            if not self._keys:
                self._keys = await asyncio.to_thread(_read, self._kept)


def _write(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(raw)
    part.replace(path)


def _read(path: Path) -> PublicKeys:
    try:
        return read_jwks(msgspec.json.decode(path.read_bytes()))
    except (OSError, ValueError, KeyError):
        return {}
