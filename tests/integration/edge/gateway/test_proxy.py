"""The gateway in front of a real origin server on a socket."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDict

from edge.gateway.proxy import OriginProxy, end_to_end
from foundation.http.problem import problems_middleware
from foundation.settings import Secret
from popreel.embedded.ports import free_ports
from tests.http_client import Client, client_of

KEY = Secret("pop-key")
LIES = {"X-Forwarded-For": "8.8.8.8", "X-Popreel-Service-Key": "guessed", "Authorization": "Bearer t"}


class Origin:
    """Echoes requests; /slow streams a line, then waits for `release` before the second."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.gone = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_get("/api/v1/slow", self.slow)
        app.router.add_route("*", "/{path:.*}", self.echo)
        return app

    async def echo(self, request: web.Request) -> web.Response:
        body = await request.read()
        document = {
            "method": request.method,
            "target": request.raw_path,
            "headers": dict(request.headers),
            "size": len(body),
        }
        headers = {"X-Multi": "1", "Connection": "X-Hop", "X-Hop": "secret"}
        response = web.json_response(document, status=int(request.query.get("status", 200)), headers=headers)
        response.headers.add("Set-Cookie", "a=1")
        response.headers.add("Set-Cookie", "b=2")
        return response

    async def slow(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: one\n\n")
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.gone.set()
            raise
        await response.write(b"data: two\n\n")
        return response


class Seen:
    def __init__(self) -> None:
        self.requests: list[tuple[str, int]] = []

    async def __call__(self, request: web.Request, status: int) -> None:
        self.requests.append((request.path, status))


@pytest.fixture
def origin() -> Origin:
    return Origin()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def client(origin: Origin, seen: Seen) -> AsyncIterator[Client]:
    server = TestServer(origin.app())
    await server.start_server()
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        proxy = OriginProxy(
            origin_url=str(server.make_url("")), pop_id="local-1", service_key=KEY, session=session, after=seen
        )
        async with gateway(proxy) as client:
            yield client
    origin.release.set()
    await server.close()


def gateway(proxy: OriginProxy) -> Client:
    app = web.Application(middlewares=[problems_middleware], client_max_size=1024)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    return client_of(app, auto_decompress=False)


async def test_target_method_and_body_arrive_unchanged(client: Client) -> None:
    answer = await client.request("PATCH", "/api/v1/x%2Fy?a=%20b&c", data=b"x" * 300_000)
    document = await answer.json()
    assert (document["method"], document["target"]) == ("PATCH", "/api/v1/x%2Fy?a=%20b&c")
    assert document["size"] == 300_000


async def test_a_streamed_body_without_length_passes_too(client: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"y" * 10_000

    assert (await (await client.post("/api/v1/x", data=chunks())).json())["size"] == 500_000


async def test_hop_by_hop_fields_end_here_in_both_directions(client: Client) -> None:
    answer = await client.get(
        "/api/v1/x", headers={"Connection": "X-Mine", "X-Mine": "1", "TE": "trailers", "X-End": "2"}
    )
    sent = (await answer.json())["headers"]
    assert "X-Mine" not in sent
    assert "TE" not in sent
    assert sent["X-End"] == "2"
    assert "X-Hop" not in answer.headers
    assert answer.headers["X-Multi"] == "1"


async def test_the_origin_learns_who_asked_and_cannot_be_lied_to(client: Client) -> None:
    answer = await client.get("/api/v1/x", headers=LIES)
    sent = (await answer.json())["headers"]
    assert (sent["X-Forwarded-For"], sent["Via"], sent["Authorization"]) == ("127.0.0.1", "1.1 local-1", "Bearer t")
    assert sent["X-Popreel-Service-Key"] == "pop-key", "by which the origin takes our word for the address"


async def test_repeated_fields_and_statuses_pass(client: Client) -> None:
    answer = await client.get("/api/v1/x?status=409")
    assert answer.status == 409
    assert answer.headers.getall("Set-Cookie") == ["a=1", "b=2"]


async def test_events_flow_before_the_answer_ends(client: Client, origin: Origin) -> None:
    async with aiohttp.ClientSession() as viewer, viewer.get(client.make_url("/api/v1/slow")) as answer:
        assert await answer.content.readuntil(b"\n\n") == b"data: one\n\n"
        origin.release.set()
        assert await answer.content.read() == b"data: two\n\n"


async def test_a_viewer_who_leaves_ends_the_request_at_the_origin(origin: Origin) -> None:
    server = TestServer(origin.app())
    await server.start_server()
    async with aiohttp.ClientSession() as session:
        proxy = OriginProxy(origin_url=str(server.make_url("")), pop_id="local-1", service_key=KEY, session=session)
        app = web.Application()
        app.router.add_get("/{path:.*}", proxy.handle)
        front = TestServer(app)
        await front.start_server()
        async with aiohttp.ClientSession() as viewer, viewer.get(front.make_url("/api/v1/slow")) as answer:
            await answer.content.readuntil(b"\n\n")
            answer.close()
            await origin.gone.wait()
        await front.close()
    await server.close()


async def test_what_succeeded_is_told_and_what_failed_is_not(client: Client, seen: Seen) -> None:
    await client.post("/api/v1/videos/1/like")
    await client.post("/api/v1/videos/2/like?status=401")
    assert seen.requests == [("/api/v1/videos/1/like", 200)]


async def test_an_origin_that_is_away_is_a_503_that_asks_to_come_back() -> None:
    async with aiohttp.ClientSession() as session:
        proxy = OriginProxy(
            origin_url=f"http://127.0.0.1:{free_ports(1)[0]}", pop_id="local-1", service_key=KEY, session=session
        )
        async with gateway(proxy) as client:
            answer = await client.get("/api/v1/x")
            assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
            assert answer.content_type == "application/problem+json"


def test_fields_named_in_connection_are_dropped_whatever_their_case() -> None:
    fields = CIMultiDict({"connection": "a, B", "A": "1", "b": "2", "c": "3"})
    assert list(end_to_end(fields)) == ["c"]
