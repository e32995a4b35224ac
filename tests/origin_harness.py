"""The origin for tests: the real service and worker in this process, on real stores, with a quick encoder.

`quick_encoder` stands in for the packager where a test is about the life of a video and not about pixels: it writes
small files and yields the same events in the same order. test_thread.py uses the real packager.
"""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
from aiohttp import web

from foundation.http.server import listening
from foundation.settings import Secret
from foundation.stores.objects import ObjectStoreSettings
from foundation.stores.shard_map import PostgresServer
from foundation.wire.media import MediaManifest, Rendition
from origin import service, worker
from origin.migrate import migrate_all
from origin.settings import OriginSettings
from packager.events import Analysis, Completed, Event, FileReady, Playable, Progress, RungReady
from popreel.embedded.object_store import ObjectStoreAccess
from popreel.embedded.ports import free_ports
from tests.polling import until

SERVICE = {"Authorization": "Bearer service-key"}
OPERATOR = {"Authorization": "Bearer operator-key"}
CLIP = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(2000)
"""Begins as an MP4 does: enough for the sniffer, and for the quick encoder."""

Json = Any
_JSON = ("application/json", "application/problem+json")


def origin_settings(
    tmp_path: Path, servers: tuple[PostgresServer, ...], valkey_url: str, objects: ObjectStoreAccess, **knobs: Any
) -> OriginSettings:
    """Settings of an API process and a worker on these stores, with short waits."""
    return OriginSettings(
        **{
            "listen": f"127.0.0.1:{free_ports(1)[0]}",
            "postgres": servers,
            "pool_size": 8,
            "valkey_url": Secret(valkey_url),
            "objects": ObjectStoreSettings(
                endpoint=objects.endpoint,
                access_key=Secret(objects.access_key),
                secret_key=Secret(objects.secret_key),
                bucket=objects.bucket,
            ),
            "jwt_key_file": tmp_path / "access-key.pem",
            "service_keys": {"pop": Secret("service-key")},
            "operator_keys": {"olga": Secret("operator-key")},
            "media_keys": {"k1": Secret("media-key-media-key-media-key-00")},
            "allow_internal_users": True,
            "scratch_dir": tmp_path / "scratch",
            "flush_interval_s": 0.05,
            "lease_s": 15.0,
            "job_first_delay_s": 0.05,
            "erase_settle_s": 0.2,
            "requests_per_minute": 100_000,
            "logins_per_minute": 100_000,
            **knobs,
        }
    )


def one_server(dsn: str) -> tuple[PostgresServer, ...]:
    return (PostgresServer(name="pg1", dsn=Secret(dsn)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    id: str
    name: str
    headers: dict[str, str]


@dataclass(slots=True, kw_only=True)
class Origin:
    """A running origin and a client of it."""

    url: str
    http: aiohttp.ClientSession
    settings: OriginSettings
    app: web.Application
    _names: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def call(
        self, method: str, path: str, who: Person | dict[str, str] | None = None, **request: Any
    ) -> tuple[int, Json]:
        """Status and decoded body (None without one; bytes unless it is JSON)."""
        if isinstance(request.get("data"), bytes):
            request["data"] = io.BytesIO(request["data"])  # aiohttp warns of large bytes
        headers = {**(who.headers if isinstance(who, Person) else who or {}), **request.pop("headers", {})}
        async with self.http.request(method, self.url + path, headers=headers, **request) as answer:
            raw = await answer.read()
            return answer.status, msgspec.json.decode(raw) if raw and answer.content_type in _JSON else raw or None

    async def ok(self, method: str, path: str, who: Person | dict[str, str] | None = None, **request: Any) -> Json:
        status, body = await self.call(method, path, who, **request)
        assert status < 300, (method, path, status, body)
        return body

    async def person(self, name: str | None = None, *, tier: str = "creator") -> Person:
        name = name or f"person{next(self._names)}"
        made = await self.ok("POST", "/internal/v1/users", SERVICE, json={"username": name, "tier": tier})
        return Person(id=made["userId"], name=name, headers={"Authorization": f"Bearer {made['accessToken']}"})

    async def begin(self, who: Person, data: bytes = CLIP, **init: Any) -> Json:
        body = {"filename": "clip.mp4", "filesize": len(data), **init}
        return await self.ok("POST", "/api/v1/videos/upload/init", who, json=body)

    async def send(self, who: Person, ticket: Json, data: bytes = CLIP) -> None:
        size = ticket["chunkSize"]
        for number, start in enumerate(range(0, len(data), size), start=1):
            await self.ok("PUT", f"{ticket['uploadUrl']}?part={number}", who, data=data[start : start + size])

    async def upload(self, who: Person, data: bytes = CLIP, **completion: Any) -> str:
        """Upload and complete; returns the video's id at once, whatever its state."""
        ticket = await self.begin(who, data)
        await self.send(who, ticket, data)
        await self.ok("POST", f"/api/v1/videos/{ticket['videoId']}/upload/complete", who, json=completion)
        return str(ticket["videoId"])

    async def published(self, who: Person, **completion: Any) -> str:
        video_id = await self.upload(who, **completion)
        await self.until(who, video_id, lambda status: status["status"] == "ready" and status["progress"] == 1)
        return video_id

    async def until(self, who: Person, video_id: str, holds: Callable[[Json], bool], *, timeout_s: float = 30) -> Json:
        """Follow the status events until one satisfies `holds`."""
        headers = {**who.headers, "Accept": "text/event-stream"}
        seen: list[Json] = []
        async with (
            asyncio.timeout(timeout_s),
            self.http.get(f"{self.url}/api/v1/videos/{video_id}/status", headers=headers) as answer,
        ):
            async for line in answer.content:
                if line.startswith(b"data: "):
                    seen.append(msgspec.json.decode(line[6:]))
                    if holds(seen[-1]):
                        return seen[-1]
        raise AssertionError(f"the status stream ended without that: {seen}")

    async def eventually(self, look: Callable[[], Any], *, timeout_s: float = 15) -> Any:
        """Poll a coroutine function until it gives something true."""
        return await until(look, seconds=timeout_s)

    async def changes(self) -> Json:
        """The catalogue's log to its end: the last reply, with the changes of all of them."""
        found: list[Json] = []
        while True:
            after = found[-1]["seq"] if found else 0
            reply = await self.ok("GET", f"/internal/v1/catalogue/changes?after={after}&limit=2000", SERVICE)
            if not reply["changes"]:
                return {**reply, "changes": found}
            found += reply["changes"]


@asynccontextmanager
async def running(
    settings: OriginSettings, *, workers: int = 1, encoder: Any = None, migrate: bool = True
) -> AsyncIterator[Origin]:
    """Migrate, then run the API and `workers` workers in this process while inside."""
    if migrate:
        await migrate_all(settings.postgres)
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(service.compose(settings))
        await stack.enter_async_context(listening(app, settings.listen, drain_s=0.5))
        for number in range(workers):
            own = msgspec.structs.replace(settings, node_id=100 + number)
            await stack.enter_async_context(worker.compose(own, encoder=encoder or quick_encoder))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield Origin(url=f"http://{settings.listen}", http=http, settings=settings, app=app)


_PLAYLIST = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MAP:URI="{rung}.mp4",BYTERANGE="100@0"
#EXTINF:1.0,
#EXT-X-BYTERANGE:900@100
{rung}.mp4
#EXT-X-ENDLIST
"""


async def quick_encoder(source: Path, out_dir: Path, *, revision: int = 1, **_: Any) -> AsyncIterator[Event]:
    """Two rungs, a poster and an analysis, in a few milliseconds."""
    await asyncio.to_thread(out_dir.mkdir, parents=True, exist_ok=True)
    sizes: dict[str, int] = {}

    async def ready(name: str, data: bytes, kind: str) -> FileReady:
        await asyncio.to_thread((out_dir / name).write_bytes, data)
        sizes[name] = len(data)
        return FileReady(name=name, size_bytes=len(data), content_type=kind)

    rungs: list[Rendition] = []
    yield Progress(stage="first-rung", fraction=0.1)
    yield await ready("poster.webp", b"RIFFxxxxWEBP" + bytes(50), "image/webp")
    for name in ("360p", "480p"):
        yield await ready(f"{name}.mp4", f"{name} of revision {revision} ".encode() * 50, "video/mp4")
        yield await ready(f"{name}.m3u8", _PLAYLIST.format(rung=name).encode(), "application/vnd.apple.mpegurl")
        rungs.append(_rendition(name, sizes[f"{name}.mp4"]))
        master = "#EXTM3U\n" + "".join(f"#EXT-X-STREAM-INF:BANDWIDTH=1\n{rung.name}.m3u8\n" for rung in rungs)
        yield await ready("master.m3u8", master.encode(), "application/vnd.apple.mpegurl")
        manifest = _manifest(tuple(rungs), sizes)
        if len(rungs) == 1:
            yield Playable(manifest=manifest)
            frames = out_dir / "frames.npy"
            await asyncio.to_thread(np.save, frames, np.zeros((1, 224, 224, 3), np.uint8))
            yield Analysis(frames_path=str(frames), audio_path=None)
        else:
            yield RungReady(manifest=manifest)
    yield Completed(manifest=_manifest(tuple(rungs), sizes))


def _rendition(name: str, size: int) -> Rendition:
    return Rendition(
        name=name,
        width=360,
        height=640,
        frame_rate=30.0,
        codecs="avc1.64001e,mp4a.40.2",
        bandwidth_bps=600_000,
        average_bandwidth_bps=500_000,
        size_bytes=size,
        init_bytes=100,
        prefix_bytes=min(size, 1000),
    )


def _manifest(rungs: tuple[Rendition, ...], sizes: dict[str, int]) -> MediaManifest:
    return MediaManifest(
        duration_ms=1000,
        width=360,
        height=640,
        frame_rate=30.0,
        has_audio=True,
        renditions=rungs,
        start_playlist=_PLAYLIST.format(rung="360p"),
        thumbhash=base64.b64encode(b"x" * 25).decode(),
        files=dict(sizes),
    )
