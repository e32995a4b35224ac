"""HTTP clients of the tests. An answer is read to its end before a test sees it.

A test that looks at the status alone would leave its connection open, and the collector's complaint would fail whatever
test runs when it comes.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import aiohttp
from aiohttp import web
from aiohttp.connector import Connection
from aiohttp.test_utils import TestClient, TestServer

Client: TypeAlias = TestClient[web.Request, web.Application]


class WholeResponse(aiohttp.ClientResponse):
    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        await super().start(connection)
        await self.read()
        return self


def open_session(*, timeout_s: float = 60) -> aiohttp.ClientSession:
    """For an answer that has to be seen while it arrives: aiohttp.ClientSession, and `async with` for each request."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s), response_class=WholeResponse)


def client_of(app: web.Application, **options: Any) -> Client:
    """A client of `app` on a socket of its own; enter it. `options`: of aiohttp.ClientSession."""
    return TestClient(TestServer(app), response_class=WholeResponse, **options)


async def json_of(answer: aiohttp.ClientResponse, status: int = 200) -> Any:
    """The decoded body of an answer that has this status."""
    assert answer.status == status, f"{answer.url}: {answer.status} {await answer.text()}"
    return await answer.json(content_type=None)
