"""The feed through the server of a PoP: keep-alive connections, a user's token on each request, players in a process of
their own.

Only the server's CPU counts. Run as a program it is the players: `python -m bench._feed_http PORT SECONDS < tokens`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import numpy as np
import uvloop

from bench._feed_world import process_cpu_s
from edge.delivery.delivery import Delivery
from edge.delivery.lane.server import serve_edge
from edge.delivery.settings import DeliverySettings
from edge.feed.routes import FeedRoutes
from edge.feed.service import Feed
from foundation.http.endpoint import mount
from foundation.http.guard import TokenGuard
from foundation.http.server import new_app
from foundation.ids import UserId
from foundation.tokens.access import AccessClaims, Revoked, SigningKey, generate_pem, issue, jwks, read_jwks
from foundation.wire.events import WatchReport

NEW_SESSION_EVERY = 5


async def cycles_over_http(feed: Feed, *, viewers: Sequence[int], seconds: float) -> dict[str, dict[str, float]]:
    """By number of players: cycles (a page, then a report of two named watches) per second of the server's CPU, and
    times as the players see them."""
    key = SigningKey.from_pem(generate_pem())
    figures: dict[str, dict[str, float]] = {}
    async with _server(feed, key) as port:
        for count in viewers:
            tokens = [_token(key, 900_000 + number) for number in range(count)]
            await _played(port, tokens, 0.5)
            cpu = time.process_time() + process_cpu_s(feed.ranking.process_id)
            played = await _played(port, tokens, seconds)
            cpu = time.process_time() + process_cpu_s(feed.ranking.process_id) - cpu
            figures[f"http_{count}"] = {**played, "cycles_per_cpu_s": round(played["cycles"] / cpu, 1)}
    return figures


@asynccontextmanager
async def _server(feed: Feed, key: SigningKey) -> AsyncIterator[int]:
    """The lanes, middlewares and routes of a PoP, without its origin."""
    published = read_jwks(jwks([key]))

    async def keys(refresh: bool) -> Any:
        return published

    delivery = await Delivery.open(DeliverySettings(origins=("http://127.0.0.1:9",), path_prefix="/videos/"))
    app = new_app("PoP")
    guard = TokenGuard(keys=keys, revoked=Revoked(clock_s=time.time), clock_s=time.time)
    mount(app, FeedRoutes(feed, region="us-east"), guard=guard)
    server = await serve_edge(delivery, app=app)
    try:
        yield server.port
    finally:
        await server.close()
        await delivery.close()


def _token(key: SigningKey, user_id: int) -> str:
    now_s = int(time.time())
    claims = AccessClaims(
        user_id=UserId(user_id), username="bench", session_id=f"s{user_id}", issued_at_s=now_s, expires_at_s=now_s + 900
    )
    return issue(claims, key)


async def _played(port: int, tokens: list[str], seconds: float) -> dict[str, float]:
    players = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench._feed_http",
        str(port),
        str(seconds),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await players.communicate("\n".join(tokens).encode())
    found: dict[str, float] = json.loads(out)
    return found


class _Item(msgspec.Struct):
    id: str
    impression: str


class _Page(msgspec.Struct, rename="camel"):
    videos: list[_Item]
    next_cursor: str


async def _player(port: int, token: str, end_s: float, pages: list[float], reports: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"Host: pop\r\nAuthorization: Bearer {token}\r\n"

    async def answer(request: str, times: list[float]) -> bytes:
        before = time.perf_counter()
        writer.write(request.encode())
        raw = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in raw.split(b"\r\n")[1:] if line)
        body = await reader.readexactly(int(fields[b"content-length"]))
        times.append(time.perf_counter() - before)
        assert raw[9:10] == b"2", raw
        return body

    cursor, turns = "", 0
    while time.perf_counter() < end_s:
        turns += 1
        page = msgspec.json.decode(
            await answer(f"GET /api/v1/feed?count=20{cursor} HTTP/1.1\r\n{head}\r\n", pages), type=_Page
        )
        cursor = f"&cursor={page.next_cursor}" if turns % NEW_SESSION_EVERY else ""
        watched = [
            WatchReport(
                video_id=item.id,
                watch_duration=15_000,
                total_duration=20_000,
                event_id=f"{token[-16:]}-{time.perf_counter_ns()}",
                impression=item.impression,
            )
            for item in page.videos[:2]
        ]
        body = msgspec.json.encode({"events": watched}).decode()
        typed = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        await answer(f"POST /api/v1/analytics/watch HTTP/1.1\r\n{head}{typed}\r\n{body}", reports)
    writer.close()


async def _play(port: int, seconds: float, tokens: list[str]) -> None:
    pages: list[float] = []
    reports: list[float] = []
    started = time.perf_counter()
    await asyncio.gather(*(_player(port, token, started + seconds, pages, reports) for token in tokens))
    figures = {"cycles": len(reports), "cycles_per_s": round(len(reports) / (time.perf_counter() - started), 1)}
    for name, times in (("page", pages), ("report", reports)):
        for quantile in (0.5, 0.99):
            figures[f"{name}_p{int(quantile * 100)}_ms"] = round(float(np.quantile(times, quantile)) * 1000, 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    uvloop.run(_play(int(sys.argv[1]), float(sys.argv[2]), sys.stdin.read().split()))
