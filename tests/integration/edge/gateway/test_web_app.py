"""Serving the built web app."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from edge.gateway.web_app import WebApp
from foundation.http.problem import problems_middleware
from tests.http_client import Client, client_of

SCRIPT = b"console.log('hello');" * 50


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>popreel</title>")
    (tmp_path / "assets" / "app-1a2b.js").write_bytes(SCRIPT)
    (tmp_path / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "assets" / "app-1a2b.js.map").write_text("{}")
    async with serve(WebApp.load(tmp_path)) as client:
        yield client


def serve(web_app: WebApp) -> Client:
    app = web.Application(middlewares=[problems_middleware])
    app.router.add_get("/{path:.*}", web_app.handle)
    return client_of(app, auto_decompress=False)


@pytest.mark.parametrize("path", ["/", "/upload", "/@ana.b", "/tag/b.tech", "/video/123"])
async def test_the_apps_own_routes_get_the_shell_revalidated(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")
    assert "popreel" in await answer.text()


async def test_hashed_names_live_for_ever_and_come_compressed(client: Client) -> None:
    answer = await client.get("/assets/app-1a2b.js", headers={"Accept-Encoding": "br;q=0, gzip;q=0.5"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "immutable" in answer.headers["Cache-Control"]
    assert gzip.decompress(await answer.read()) == SCRIPT
    plain = await client.get("/assets/app-1a2b.js", headers={"Accept-Encoding": "identity"})
    assert await plain.read() == SCRIPT


async def test_a_known_version_is_not_sent_again(client: Client) -> None:
    first = await client.get("/")
    again = await client.get("/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")


@pytest.mark.parametrize("path", ["/missing.js", "/assets/app-1a2b.js.map", "/../pyproject.toml", "/%2e%2e/x.toml"])
async def test_what_is_not_in_the_app_is_not_found(client: Client, path: str) -> None:
    assert (await client.get(path)).status == 404


async def test_an_app_not_built_yet_says_how_to_build_it(tmp_path: Path) -> None:
    async with serve(WebApp.load(tmp_path / "nowhere")) as client:
        assert "make setup" in await (await client.get("/")).text()
