"""An object of the store passed on to an HTTP client as it arrives, with back-pressure end to end."""

from __future__ import annotations

from aiohttp import web

from foundation.stores.objects import ObjectBody

_PASSED_ON = ("Content-Length", "Content-Range", "ETag", "Last-Modified")


async def pass_on(request: web.Request, body: ObjectBody, headers: dict[str, str]) -> web.StreamResponse:
    """`headers` are ours; status, length, range and validators are the store's."""
    response = web.StreamResponse(status=body.status, headers=headers)
    for name in _PASSED_ON:
        if name in body.headers and not (name == "Content-Length" and body.status == 304):
            response.headers[name] = body.headers[name]
    if body.status == 416:
        response.headers["Content-Type"] = "text/plain"
    await response.prepare(request)
    if body.status != 304:
        async for chunk in body.chunks():
            await response.write(chunk)
    await response.write_eof()
    return response
