"""Origin's side of the replica: snapshot and change log over HTTP, translated into values and `Unavailable`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import aiohttp
import msgspec

from foundation.catalogue_checksum import LARGEST_ID
from foundation.errors import Unavailable
from foundation.settings import Secret
from foundation.wire.catalogue import CatalogueChanges, CatalogueItem, RangeDigest, SnapshotHead

_MAX_LINE_BYTES = 4 * 1024 * 1024


class CatalogueOrigin(Protocol):
    """What the replica follows."""

    async def changes(self, *, after: int, limit: int, wait_ms: int) -> CatalogueChanges: ...

    def snapshot(self, *, after: int = 0, up_to: int = LARGEST_ID) -> AsyncIterator[SnapshotHead | CatalogueItem]:
        """The head first, then every item of the range of ids."""
        ...

    async def digest(self, *, after: int, limit: int) -> RangeDigest: ...


class HttpCatalogueOrigin:
    """`session` is owned by the composition. Every failure is Unavailable (the replica tries again)."""

    def __init__(self, session: aiohttp.ClientSession, *, base_url: str, service_key: Secret) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {str.__str__(service_key)}"}

    async def changes(self, *, after: int, limit: int, wait_ms: int) -> CatalogueChanges:
        timeout = aiohttp.ClientTimeout(total=wait_ms / 1000 + 15)
        query = {"after": str(after), "limit": str(limit), "waitMs": str(wait_ms)}
        url = f"{self._base_url}/internal/v1/catalogue/changes"
        try:
            async with self._session.get(url, params=query, headers=self._headers, timeout=timeout) as reply:
                _expect_ok(reply)
                return msgspec.json.decode(await reply.read(), type=CatalogueChanges)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as err:
            raise Unavailable(f"the origin's change log: {type(err).__name__}") from err

    async def digest(self, *, after: int, limit: int) -> RangeDigest:
        query = {"after": str(after), "limit": str(limit)}
        url = f"{self._base_url}/internal/v1/catalogue/digest"
        timeout = aiohttp.ClientTimeout(total=30)
        try:
            async with self._session.get(url, params=query, headers=self._headers, timeout=timeout) as reply:
                _expect_ok(reply)
                return msgspec.json.decode(await reply.read(), type=RangeDigest)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as err:
            raise Unavailable(f"the origin's digest: {type(err).__name__}") from err

    async def snapshot(self, *, after: int = 0, up_to: int = LARGEST_ID) -> AsyncIterator[SnapshotHead | CatalogueItem]:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
        url = f"{self._base_url}/internal/v1/catalogue/snapshot"
        try:
            query = {"after": str(after), "upTo": str(up_to)}
            async with self._session.get(url, params=query, headers=self._headers, timeout=timeout) as reply:
                _expect_ok(reply)
                lines = _lines(reply.content)
                yield msgspec.json.decode(await anext(lines, b""), type=SnapshotHead)
                async for line in lines:
                    yield msgspec.json.decode(line, type=CatalogueItem)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as err:
            raise Unavailable(f"the origin's snapshot: {type(err).__name__}") from err


def _expect_ok(reply: aiohttp.ClientResponse) -> None:
    if reply.status != 200:
        raise Unavailable(f"the origin answered {reply.status} to the catalogue replica")


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """NDJSON lines of any length up to 4 MiB (StreamReader.readline has a lower limit)."""
    rest = b""
    async for chunk in content.iter_chunked(256 * 1024):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line
        if len(rest) > _MAX_LINE_BYTES:
            raise Unavailable("a line of the origin's snapshot is longer than 4 MiB")
    if rest:
        yield rest
