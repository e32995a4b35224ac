"""A client on a bare socket: sends the bytes it is given, shows the bytes that come back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from multidict import CIMultiDict


@dataclass(slots=True, kw_only=True)
class Got:
    """One final response; `interim` are the 1xx before it."""

    status: int
    reason: str
    headers: CIMultiDict[str]
    body: bytes = b""
    complete: bool = True
    """False when the connection ended before the body did."""
    interim: list[tuple[int, CIMultiDict[str]]] = field(default_factory=list)


class RawClient:
    """One connection. Use as a context manager."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> RawClient:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._writer.transport.abort()

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def get(self, target: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> Got:
        """One exchange; keyword names become fields (`if_none_match` is If-None-Match)."""
        lines = [f"{method} {target} HTTP/1.1", "Host: edge.test"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        await self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
        return await self.read(head_only=method == "HEAD")

    async def read(self, *, head_only: bool = False) -> Got:
        interim: list[tuple[int, CIMultiDict[str]]] = []
        while True:
            got = await self._read_head()
            if got.status >= 200:
                break
            interim.append((got.status, got.headers))
        got.interim = interim
        if not head_only and got.status not in (204, 304):
            await self._read_body(got)
        return got

    async def _read_head(self) -> Got:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.split("\r\n")[:-2]
        _, status, reason = (*line.split(" ", 2), "")[:3]
        headers: CIMultiDict[str] = CIMultiDict()
        for text in lines:
            name, _, value = text.partition(":")
            headers.add(name, value.strip())
        return Got(status=int(status), reason=reason, headers=headers)

    async def _read_body(self, got: Got) -> None:
        try:
            if "chunked" in got.headers.get("Transfer-Encoding", ""):
                while size := int(await self._reader.readline() or b"x", 16):
                    got.body += await self._reader.readexactly(size)
                    await self._reader.readline()
                await self._reader.readline()
            elif "Content-Length" in got.headers:
                got.body = await self._reader.readexactly(int(got.headers["Content-Length"]))
            else:
                got.body = await self._reader.read()
        except asyncio.IncompleteReadError as err:
            got.body += err.partial
            got.complete = False
        except (ConnectionError, ValueError):
            got.complete = False

    async def read_until_closed(self) -> bytes:
        try:
            return await self._reader.read()
        except ConnectionError:
            return b""
