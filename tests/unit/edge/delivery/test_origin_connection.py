"""When the connection to the origin is read and when it is not."""

from __future__ import annotations

import asyncio

import pytest

from edge.delivery.upstream.connection import READ_AHEAD_BYTES, OriginConnection

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


class Line(asyncio.Transport):
    """What is written to it goes nowhere; whether it is read is told."""

    def __init__(self) -> None:
        super().__init__()
        self.is_read = True
        self.resumed = asyncio.Event()

    def write(self, data: object) -> None:
        pass

    def pause_reading(self) -> None:
        self.is_read = False
        self.resumed.clear()

    def resume_reading(self) -> None:
        self.is_read = True
        self.resumed.set()

    def abort(self) -> None:
        self.is_read = False


@pytest.fixture
async def asked() -> tuple[OriginConnection, Line]:
    connection, line = OriginConnection(), Line()
    connection.connection_made(line)
    await connection.send(b"GET / HTTP/1.1\r\n\r\n", method="GET", interim=None, body=None, chunked=False, timeout_s=9)
    return connection, line


@pytest.mark.parametrize("pieces", [[HEAD % 9 + b"abc"], [HEAD % 9, b"abc"]])
async def test_nothing_is_read_behind_the_first_bytes_until_they_are_taken(asked, pieces):
    connection, line = asked
    for piece in pieces:
        assert line.is_read
        connection.data_received(piece)
    assert not line.is_read
    body = connection.body(timeout_s=9)
    assert await anext(body) == b"abc"
    assert not line.is_read
    rest = asyncio.create_task(anext(body))
    await line.resumed.wait()
    connection.data_received(b"defghi")
    assert (line.is_read, await rest) == (True, b"defghi")
    assert [chunk async for chunk in body] == []
    assert connection.reusable


async def test_an_answer_that_is_whole_at_once_leaves_the_connection_open_to_reading(asked):
    connection, line = asked
    connection.data_received(HEAD % 3 + b"abc")
    assert line.is_read  # in the pool, bytes that nobody asked for must be seen
    assert [chunk async for chunk in connection.body(timeout_s=9)] == [b"abc"]


async def test_what_nobody_takes_is_not_read(asked):
    connection, line = asked
    connection.data_received(HEAD % 10_000_000 + b"abc")
    body = connection.body(timeout_s=9)
    await anext(body)
    first = asyncio.create_task(anext(body))
    await line.resumed.wait()
    size = 0
    while line.is_read:
        connection.data_received(bytes(65_536))
        size += 65_536
    assert READ_AHEAD_BYTES < size <= READ_AHEAD_BYTES + 65_536
    await first
    await body.aclose()
