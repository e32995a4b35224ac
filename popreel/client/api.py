"""One exchange with a service; a problem document (RFC 9457) becomes Refused."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, TypeVar

import aiohttp
import msgspec

from popreel.errors import Refused

T = TypeVar("T")


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    bearer: str,
    reply: type[T],
    body: Any = None,
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> T:
    """Send `body` as JSON or `data` as it is, decode the answer. Raises Refused, aiohttp.ClientError, TimeoutError."""
    raw = await send(session, method, url, bearer=bearer, body=body, data=data, headers=headers)
    try:
        return msgspec.json.decode(raw, type=reply)
    except msgspec.DecodeError as err:
        raise Refused(f"{method} {url} answered with something else than promised: {err}") from err


async def send(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    bearer: str,
    body: Any = None,
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """As exchange(); returns the answer's body as it is, empty for a 204."""
    sent = {"Authorization": f"Bearer {bearer}", **(headers or {})}
    if body is not None:
        data = msgspec.json.encode(body)
        sent["Content-Type"] = "application/json"
    # BytesIO: sent in pieces; aiohttp warns that one large write of bytes would hold the event loop up
    payload = io.BytesIO(data) if data is not None else None
    async with session.request(method, url, data=payload, headers=sent) as answer:
        raw = await answer.read()
        if answer.status >= 400:
            raise refusal(raw, status=answer.status, retry_after=answer.headers.get("Retry-After"))
        return raw


def refusal(raw: bytes, *, status: int, retry_after: str | None = None) -> Refused:
    """The problem a service answered with, as an error whose text has the service's own title and detail."""
    try:
        problem = msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {}
    title, detail = str(problem.get("title") or "no problem document"), str(problem.get("detail") or "")
    text = f"{title}: {detail}" if detail and detail != title else title
    wait_s = float(retry_after) if retry_after and retry_after.isdigit() else None
    return Refused(f"{text} (HTTP {status})", http_status=status, problem=problem, retry_after_s=wait_s)
