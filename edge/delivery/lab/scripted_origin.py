"""An HTTP/1.1 origin whose every answer, right or wrong, is chosen by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from multidict import CIMultiDict

from edge.delivery.rules.byte_range import content_range, parse_range, satisfiable
from edge.delivery.rules.http_date import format_http_date


@dataclass(slots=True, kw_only=True)
class Asked:
    """One request as it reached the origin."""

    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes = b""


@dataclass(slots=True, kw_only=True)
class Reply:
    """What to answer. `headers` may hold a list for a repeated field; `framing` says how the body's end is told."""

    status: int = 200
    reason: str = "OK"
    headers: Mapping[str, str | list[str]] = field(default_factory=dict)
    body: bytes = b""
    interim: bytes = b""
    """Raw bytes before the status line: interim responses."""
    framing: str = "length"
    """"length", "chunked", "close", or "none" (headers say what they say)."""
    cut_after: int | None = None
    """Close the connection after so many body bytes."""
    before_body: Callable[[], Awaitable[None]] | None = None
    pace: tuple[int, Callable[[], Awaitable[None]]] | None = None
    """(n, wait): call `wait` before each run of n body bytes."""
    raw: bytes | None = None
    """Send exactly this instead, then close."""


Script = Callable[[Asked], "Reply | Awaitable[Reply]"]


class ScriptedOrigin:
    """Records what it is asked; `script` may be swapped at any time."""

    def __init__(self) -> None:
        self.script: Script = lambda asked: Reply(status=404, reason="Not Found")
        self.asked: list[Asked] = []
        self.url = ""
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, backlog=2048)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while (asked := await _read(reader)) is not None:
                self.asked.append(asked)
                reply = self.script(asked)
                if not isinstance(reply, Reply):
                    reply = await reply
                if not await _write(writer, asked, reply):
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # cancelled: the loop ends
        finally:
            self._writers.discard(writer)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    line, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = line.split(" ")
    headers: CIMultiDict[str] = CIMultiDict()
    for text in lines:
        name, _, value = text.partition(":")
        headers.add(name, value.strip())
    body = b""
    if "Content-Length" in headers:
        body = await reader.readexactly(int(headers["Content-Length"]))
    elif headers.get("Transfer-Encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    return Asked(method=method, target=target, headers=headers, body=body)


async def _write(writer: asyncio.StreamWriter, asked: Asked, reply: Reply) -> bool:
    """False when the connection is to be closed."""
    if reply.raw is not None:
        writer.write(reply.raw)
        await writer.drain()
        return False
    writer.write(reply.interim + _head(reply))
    if reply.before_body is not None:
        await writer.drain()
        await reply.before_body()
    if asked.method != "HEAD" and reply.status not in (204, 304):
        await _write_body(writer, reply)
    await writer.drain()
    return reply.cut_after is None and reply.framing != "close"


async def _write_body(writer: asyncio.StreamWriter, reply: Reply) -> None:
    body = reply.body if reply.cut_after is None else reply.body[: reply.cut_after]
    step = reply.pace[0] if reply.pace else 65_536
    for at in range(0, len(body), step):
        if reply.pace:
            await reply.pace[1]()
        part = body[at : at + step]
        writer.write(b"%x\r\n%b\r\n" % (len(part), part) if reply.framing == "chunked" else part)
        await writer.drain()
    if reply.framing == "chunked" and reply.cut_after is None:
        writer.write(b"0\r\n\r\n")


def _head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {reply.reason}"]
    for name, value in reply.headers.items():
        lines += [f"{name}: {one}" for one in ([value] if isinstance(value, str) else value)]
    if reply.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif reply.framing == "length" and reply.status not in (204, 304):
        lines.append(f"Content-Length: {len(reply.body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def file_reply(asked: Asked, body: bytes, *, etag: str, headers: Mapping[str, str] | None = None) -> Reply:
    """What a good static server answers: ranges, If-Range, If-None-Match, strong ETag, an hour of freshness."""
    told: dict[str, str | list[str]] = {
        "ETag": etag,
        "Cache-Control": "public, max-age=3600",
        "Accept-Ranges": "bytes",
        "Content-Type": "video/mp4",
        **(headers or {}),
    }
    if asked.headers.get("If-None-Match") == etag:
        return Reply(status=304, reason="Not Modified", headers=told)
    specs = parse_range(asked.headers.get("Range", ""))
    if specs is None or asked.headers.get("If-Range", etag) != etag:
        return Reply(headers=told, body=body)
    spans = satisfiable(specs, len(body))
    if not spans:
        return Reply(status=416, reason="No", headers={**told, "Content-Range": f"bytes */{len(body)}"})
    told["Content-Range"] = content_range(spans[0], len(body))
    return Reply(status=206, reason="Partial Content", headers=told, body=body[spans[0].start : spans[0].stop])


def http_date(seconds: float) -> str:
    return format_http_date(seconds)


@asynccontextmanager
async def scripted_origin() -> AsyncIterator[ScriptedOrigin]:
    origin = ScriptedOrigin()
    await origin.start()
    try:
        yield origin
    finally:
        await origin.stop()
