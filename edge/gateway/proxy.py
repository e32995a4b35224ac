"""Reverse proxy to the origin: bodies are streamed both ways, nothing is buffered, errors become problems.

Headers follow RFC 9110 section 7.6: hop-by-hop fields and those named in Connection end here.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from foundation.errors import Unavailable
from foundation.http.guard import VOUCHER
from foundation.settings import Secret

_log = logging.getLogger(__name__)

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_REWRITTEN = frozenset(
    {"host", "content-length", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "expect", VOUCHER.lower()}
)
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=120)

AfterForward = Callable[[web.Request, int], Awaitable[None]]
"""Told of every answered request and its status, e.g. to let a like reach the viewer's taste at once."""


class OriginProxy:
    """Forwards requests; `after` runs once an answer below 400 has been passed on."""

    def __init__(
        self,
        *,
        origin_url: str,
        pop_id: str,
        service_key: Secret,
        session: aiohttp.ClientSession,
        after: AfterForward | None = None,
    ) -> None:
        self._origin = URL(origin_url)
        self._pop_id = pop_id
        self._service_key = str.__str__(service_key)
        self._session = session
        self._after = after

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Forward `request` and stream the answer. Raises Unavailable while the origin cannot be reached."""
        try:
            answer = await self._session.request(
                request.method,
                self._origin.join(URL(request.raw_path, encoded=True)),
                headers=self._request_headers(request),
                data=request.content if request.body_exists else None,
                allow_redirects=False,
                timeout=_TIMEOUT,
            )
        except (aiohttp.ClientConnectionError, TimeoutError) as err:
            _log.warning("origin not reachable: %s", err, extra={"event": "origin_unreachable"})
            raise Unavailable("the origin cannot be reached right now; try again", retry_after_s=2) from err
        async with answer:
            response = await _relay(request, answer)
        if self._after is not None and response.status < 400:
            await self._after(request, response.status)
        return response

    def _request_headers(self, request: web.Request) -> CIMultiDict[str]:
        headers = end_to_end(request.headers)
        for name in _REWRITTEN:
            headers.popall(name, None)
        if request.body_exists and request.content_length is not None:
            headers["Content-Length"] = str(request.content_length)
        headers["X-Forwarded-For"] = request.remote or ""
        headers[VOUCHER] = self._service_key
        headers["X-Forwarded-Proto"] = request.scheme
        headers["X-Forwarded-Host"] = request.host
        headers["Via"] = f"1.1 {self._pop_id}"
        return headers


def end_to_end(headers: CIMultiDict[str] | CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """A copy of `headers` without the hop-by-hop ones."""
    named = {part.strip().lower() for value in headers.getall("Connection", []) for part in value.split(",")}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP | named)


async def _relay(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = end_to_end(answer.headers)
    headers.popall("Content-Length", None)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    if answer.content_length is not None and "Content-Encoding" not in answer.headers:
        response.content_length = answer.content_length
    await response.prepare(request)
    if request.method != "HEAD":
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
    await response.write_eof()
    return response
