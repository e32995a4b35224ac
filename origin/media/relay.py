"""An object of the store passed on to an HTTP client as it arrives, with back-pressure end to end."""

from __future__ import annotations

from aiohttp import web

from foundation.stores.objects import ObjectBody

_PASSED_ON = ("Content-Length", "Content-Range", "ETag", "Last-Modified")


async def pass_on(request: web.Request, body: ObjectBody, headers: dict[str, str]) -> web.StreamResponse:
    """`headers` are ours; status, length, range and validators are the store's."""
    if body.status == 416:
        return _no_such_range(body, headers)
    response = web.StreamResponse(status=body.status, headers=headers)
    for name in _PASSED_ON:
        if name in body.headers and not (name == "Content-Length" and body.status == 304):
            response.headers[name] = body.headers[name]
    await response.prepare(request)
    if body.status != 304:
        async for chunk in body.chunks():
            await response.write(chunk)
    await response.write_eof()
    return response


def _no_such_range(body: ObjectBody, headers: dict[str, str]) -> web.Response:
    """The store's own text names bucket and key, which are nobody's business: only the length is passed on."""
    known = {name: body.headers[name] for name in ("Content-Range",) if name in body.headers}
    said = {**headers, **known, "Content-Type": "text/plain"}
    return web.Response(status=416, body=b"the file has no such range\n", headers=said)
