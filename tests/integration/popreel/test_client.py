"""The client's patience, against a real server that misbehaves."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from foundation.errors import Unavailable
from popreel.client.api import exchange, send
from popreel.client.retry import patiently
from popreel.embedded.ports import free_ports
from popreel.errors import Refused

Handler = Callable[[web.Request], Awaitable[web.Response]]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def _serve(handler: Handler) -> TestServer:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    server = TestServer(app)
    await server.start_server()
    return server


async def test_a_busy_service_is_asked_again_not_before_it_wants_to_be(session: aiohttp.ClientSession) -> None:
    calls: list[float] = []

    async def handler(request: web.Request) -> web.Response:
        calls.append(time.monotonic())
        if len(calls) < 3:
            return web.json_response({"title": "Busy"}, status=503, headers={"Retry-After": "1"})
        return web.json_response({"n": len(calls)})

    server = await _serve(handler)
    call = partial(exchange, session, "GET", str(server.make_url("/x")), bearer="t", reply=dict[str, int])
    assert await patiently(call) == {"n": 3}
    assert calls[1] - calls[0] >= 0.7  # one second, jittered by 30 %
    await server.close()


async def test_a_refusal_is_not_repeated_and_carries_the_services_words(session: aiohttp.ClientSession) -> None:
    calls = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        problem = {"type": "https://x/problems/file-too-large", "title": "Too large", "detail": "at most 2 GiB"}
        return web.json_response(problem, status=413, content_type="application/problem+json")

    server = await _serve(handler)
    with pytest.raises(Refused, match=r"Too large: at most 2 GiB \(HTTP 413\)") as caught:
        await patiently(partial(send, session, "POST", str(server.make_url("/x")), bearer="t", data=b"x"))
    assert (calls, caught.value.problem_code) == (1, "file-too-large")
    await server.close()


async def test_an_answer_that_is_no_problem_document_is_still_an_error(session: aiohttp.ClientSession) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="<html>", status=400)

    server = await _serve(handler)
    with pytest.raises(Refused, match="no problem document"):
        await send(session, "GET", str(server.make_url("/x")), bearer="t")
    await server.close()


async def test_patience_ends(session: aiohttp.ClientSession) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}/x"  # nobody listens
    with pytest.raises(Unavailable, match="no answer"):
        await patiently(partial(send, session, "GET", url, bearer="t"), patience_s=0.3)
