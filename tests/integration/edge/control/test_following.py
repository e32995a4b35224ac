"""Keys, logs and heartbeats of a PoP against a centre on a socket that comes and goes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from edge.control.heartbeat import Heartbeat
from edge.control.keys import RemoteKeys
from edge.control.long_poll import follow
from foundation.errors import Unavailable
from foundation.settings import Secret
from foundation.tokens.access import SigningKey, generate_pem, jwks
from foundation.wire.pops import PopHeartbeat
from popreel.embedded.ports import free_ports


@asynccontextmanager
async def centre(app: web.Application, port: int | None = None) -> AsyncIterator[str]:
    server = TestServer(app, port=port)
    await server.start_server()
    yield str(server.make_url("")).rstrip("/")
    await server.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def key_app(key: SigningKey, counter: list[int]) -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        counter.append(1)
        return web.json_response(jwks([key]))

    app = web.Application()
    app.router.add_get("/jwks", answer)
    return app


async def test_keys_are_fetched_once_and_survive_a_restart_without_the_centre(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    key, fetches = SigningKey.from_pem(generate_pem()), list[int]()
    kept = tmp_path / "jwks.json"
    async with centre(key_app(key, fetches)) as url:
        keys = RemoteKeys(url=f"{url}/jwks", session=session, kept=kept)
        found = await asyncio.gather(*(keys.keys(False) for _ in range(10)))
        assert all(key.kid in held for held in found)
        assert len(fetches) == 1
    restarted = RemoteKeys(url=f"http://127.0.0.1:{free_ports(1)[0]}/jwks", session=session, kept=kept)
    assert key.kid in await restarted.keys(False)


async def test_unknown_key_ids_cannot_flood_the_origin(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    key, fetches, now_s = SigningKey.from_pem(generate_pem()), list[int](), [0.0]
    async with centre(key_app(key, fetches)) as url:
        keys = RemoteKeys(url=f"{url}/jwks", session=session, kept=tmp_path / "k", clock_s=lambda: now_s[0])
        for _ in range(100):
            await keys.keys(True)
        assert len(fetches) == 1
        now_s[0] += 6
        await keys.keys(True)
        assert len(fetches) == 2


async def test_without_any_key_the_answer_is_unavailable(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    keys = RemoteKeys(url=f"http://127.0.0.1:{free_ports(1)[0]}/jwks", session=session, kept=tmp_path / "none")
    with pytest.raises(Unavailable):
        await keys.keys(False)


async def test_a_follower_goes_on_where_it_was_after_the_centre_was_away(session: aiohttp.ClientSession) -> None:
    port, asked, applied = free_ports(1)[0], asyncio.Queue[int](), list[int]()
    both = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        after = int(request.query["after"])
        asked.put_nowait(after)
        if after >= 2:
            await both.wait()
        return web.json_response(after + 1)

    async def apply(body: bytes) -> int:
        applied.append(int(body))
        return applied[-1]

    app = web.Application()
    app.router.add_get("/log", answer)
    following = asyncio.create_task(
        follow(
            session=session,
            url=f"http://127.0.0.1:{port}/log",
            service_key=Secret("k"),
            after=0,
            apply=apply,
            event="log_unreachable",
            jitter=lambda: 0.0,
        )
    )
    async with centre(app, port):
        async with asyncio.timeout(20):
            while await asked.get() != 2:
                pass
        both.set()
    following.cancel()
    assert applied[:2] == [1, 2]


async def test_a_heartbeat_reports_and_hears_the_operators_wish(session: aiohttp.ClientSession) -> None:
    heard = asyncio.Queue[PopHeartbeat]()

    async def answer(request: web.Request) -> web.Response:
        heard.put_nowait(msgspec.json.decode(await request.read(), type=PopHeartbeat))
        return web.json_response({"state": "draining", "purgeHead": 9})

    app = web.Application()
    app.router.add_put("/internal/v1/pops/local-1", answer)

    async def observe() -> PopHeartbeat:
        return PopHeartbeat(pop_id="local-1", region="us-east", base_url="http://x", purge_seq=3)

    async with centre(app) as url:
        beat = Heartbeat(
            session=session,
            control_plane_url=url,
            service_key=Secret("k"),
            every_s=0.01,
            observe=observe,
        )
        running = asyncio.create_task(beat.run())
        async with asyncio.timeout(60):
            assert (await heard.get()).purge_seq == 3
            await heard.get()  # the first answer has been read once the second beat arrives
        running.cancel()
    assert (beat.directive.state, beat.directive.purge_head) == ("draining", 9)
