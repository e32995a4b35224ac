"""Traces: nothing by default; with an endpoint, real spans arrive at a collector over OTLP."""

import asyncio
import subprocess
import sys

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from foundation.http.server import new_app
from foundation.telemetry.traces import NoTracer, make_tracer
from tests.http_client import client_of


def test_without_an_endpoint_nothing_is_imported() -> None:
    assert isinstance(make_tracer(service="x", endpoint=""), NoTracer)
    code = "import sys, foundation.http.server; print('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


async def test_a_request_becomes_a_span_and_the_next_hop_is_told() -> None:
    pytest.importorskip("opentelemetry.sdk")
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def collect(request: web.Request) -> web.Response:
        received.put_nowait(await request.read())
        return web.Response(content_type="application/x-protobuf")

    collector = web.Application()
    collector.router.add_post("/v1/traces", collect)
    async with TestServer(collector) as server:
        tracer = make_tracer(service="tester", endpoint=str(server.make_url("/v1/traces")))
        passed_on: dict[str, str] = {}

        async def hello(request: web.Request) -> web.Response:
            tracer.inject(passed_on)
            return web.Response()

        app = new_app("tester", tracer=tracer)
        app.router.add_get("/hello/{name}", hello)
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        async with client_of(app) as client:
            await client.get("/hello/ana", headers={"traceparent": parent})
        await asyncio.to_thread(tracer.shutdown)
        body = await received.get()
    assert b"GET /hello/{name}" in body
    assert b"tester" in body
    assert passed_on["traceparent"].split("-")[1] == "0af7651916cd43dd8448eb211c80319c"
