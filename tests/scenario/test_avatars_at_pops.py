"""Avatars through a PoP: immutable WebP from its cache, and gone from every PoP with the picture or the person."""

from __future__ import annotations

import functools
import io
import uuid
from collections.abc import Iterable

import aiohttp
from PIL import Image

from popreel.lab.throwaway import ThrowawayPlatform
from tests.polling import until

PURGED_S = 60


def picture(colour: str) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (640, 480), colour).save(target, format="PNG")
    return target.getvalue()


async def sign_up(http: aiohttp.ClientSession, pop: str) -> dict[str, str]:
    account = {"username": f"face{uuid.uuid4().hex[:10]}", "password": "correct horse battery"}
    async with http.post(f"{pop}/api/v1/auth/register", json={**account, "birthdate": "1990-05-17"}) as answer:
        assert answer.status == 201, await answer.text()
        return {"Authorization": f"Bearer {(await answer.json())['accessToken']}"}


async def set_avatar(http: aiohttp.ClientSession, pop: str, person: dict[str, str], colour: str) -> str:
    """The path of the large picture."""
    headers = {**person, "Content-Type": "image/png"}
    async with http.post(f"{pop}/api/v1/users/me/avatar", data=io.BytesIO(picture(colour)), headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["avatarUrl"])


async def shown(http: aiohttp.ClientSession, url: str) -> str:
    """Look at the picture; the Cache-Status it came with."""
    async with http.get(url) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Content-Type"] == "image/webp"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        with Image.open(io.BytesIO(await answer.read())) as found:
            assert (found.format, found.size) == ("WEBP", (384, 384))
        return answer.headers["Cache-Status"]


async def cached(http: aiohttp.ClientSession, urls: Iterable[str]) -> None:
    """Until each comes from its PoP's cache: the purge that setting a picture orders may still throw out the first."""

    async def hit(url: str) -> bool:
        return "; hit" in await shown(http, url)

    for url in urls:
        await until(functools.partial(hit, url), seconds=PURGED_S)


async def gone(http: aiohttp.ClientSession, urls: Iterable[str]) -> None:
    """Until each answers 404: purges travel on the heartbeats, of which a client sees nothing else."""

    async def missing(url: str) -> bool:
        async with http.get(url) as answer:
            assert answer.status in (200, 404), await answer.text()
            return answer.status == 404

    for url in urls:
        await until(functools.partial(missing, url), seconds=PURGED_S)


async def test_avatars_are_served_by_pops_and_purged(platform: ThrowawayPlatform, http: aiohttp.ClientSession) -> None:
    pops = platform.urls["local-1"], platform.urls["local-2"]
    person = await sign_up(http, pops[0])
    first = await set_avatar(http, pops[0], person, "red")
    for pop in pops:
        assert "fwd=uri-miss" in await shown(http, pop + first)
    await cached(http, [pop + first for pop in pops])

    second = await set_avatar(http, pops[1], person, "blue")
    assert second != first
    await gone(http, [pop + first for pop in pops])
    await cached(http, [pop + second for pop in pops])

    async with http.post(
        f"{pops[0]}/api/v1/users/me/delete", headers=person, json={"password": "correct horse battery"}
    ) as answer:
        assert answer.status < 300, await answer.text()
    await gone(http, [pop + second for pop in pops])
