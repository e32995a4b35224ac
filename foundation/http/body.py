"""A request's body in memory, bounded."""

from __future__ import annotations

from aiohttp import web

from foundation.errors import TooLarge


async def read_body(request: web.Request, *, limit: int, too_large: str) -> bytes:
    """The whole body. Raises TooLarge(`too_large`) beyond `limit` bytes, without reading the rest."""
    if (request.content_length or 0) > limit:
        raise TooLarge(too_large)
    parts, size = [], 0
    async for chunk in request.content.iter_chunked(65536):
        size += len(chunk)
        if size > limit:
            raise TooLarge(too_large)
        parts.append(chunk)
    return b"".join(parts)
