"""Captions of a video: in its view, in what PoPs get of it, served as media, and gone when they are removed."""

from __future__ import annotations

import pytest

from tests.origin_harness import SERVICE, Json, Origin, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")
VTT = {"Content-Type": "text/vtt"}
ENGLISH = b"WEBVTT\n\nSTYLE\n::cue {}\n\n00:00.000 --> 00:00.800\nHello\n"


async def put(origin: Origin, who: Person, video_id: str, lang: str, data: bytes = ENGLISH) -> Json:
    reply = await origin.ok("PUT", f"/api/v1/videos/{video_id}/captions/{lang}", who, data=data, headers=VTT)
    return reply["captions"]


async def in_catalogue(origin: Origin, video_id: str) -> list[Json]:
    found = (await origin.changes())["changes"]
    return [c["item"] for c in found if c["kind"] == "upsert" and c["videoId"] == video_id][-1]["captions"]


async def test_captions_are_served_beside_the_video(origin: Origin) -> None:
    ada, bob = await origin.person(), await origin.person()
    video_id = await origin.published(ada, title="spoken")
    await put(origin, ada, video_id, "pt-br")
    listed = await put(origin, ada, video_id, "en")
    assert [caption["lang"] for caption in listed] == ["en", "pt-BR"]
    video = await origin.ok("GET", f"/api/v1/videos/{video_id}", bob)
    assert video["captions"] == listed
    assert (await origin.ok("GET", f"/api/v1/videos/{video_id}/captions"))["captions"] == listed

    url = listed[0]["url"]
    assert url.startswith(f"/videos/us-east/{video_id}/captions/en-")
    async with origin.http.get(origin.url + url) as answer:
        assert await answer.read() == b"WEBVTT\n\n00:00:00.000 --> 00:00:00.800\nHello\n"
        assert answer.headers["Content-Type"] == "text/vtt; charset=utf-8"
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Cache-Groups"] == f'"captions-{video_id}", "video-{video_id}", "user-{ada.id}"'

    async def told(langs: list[str]) -> bool:
        return [caption["lang"] for caption in await in_catalogue(origin, video_id)] == langs

    await origin.eventually(lambda: told(["en", "pt-BR"]))
    again = await put(origin, ada, video_id, "EN", ENGLISH.replace(b"Hello", b"Good day"))
    assert again[0]["url"] != url
    assert (await origin.call("GET", url))[0] == 404
    for _ in range(2):
        left = await origin.ok("DELETE", f"/api/v1/videos/{video_id}/captions/en", ada)
        assert [caption["lang"] for caption in left["captions"]] == ["pt-BR"]
    assert (await origin.call("GET", again[0]["url"]))[0] == 404
    await origin.eventually(lambda: told(["pt-BR"]))
    await origin.ok("DELETE", f"/api/v1/videos/{video_id}", ada)
    assert (await origin.call("GET", left["captions"][0]["url"]))[0] == 404


async def test_captions_are_the_creators_and_must_be_right(origin: Origin) -> None:
    ada, bob = await origin.person(), await origin.person()
    video_id = await origin.published(ada, title="spoken")
    route = f"/api/v1/videos/{video_id}/captions"
    for who, lang, data, headers, expected in (
        (bob, "en", ENGLISH, VTT, 403),
        (ada, "english", ENGLISH, VTT, 400),
        (ada, "en", b"WEBVTT\n\n00:05 --> 00:06\nno thousandths", VTT, 400),
        (ada, "en", bytes(600_000), VTT, 413),
        (ada, "en", ENGLISH, {"Content-Type": "application/json"}, 415),
    ):
        status, problem = await origin.call("PUT", f"{route}/{lang}", who, data=data, headers=headers)
        assert (status, bool(problem["detail"])) == (expected, True)
    assert (await origin.ok("GET", route))["captions"] == []


async def test_captions_of_a_private_video_need_its_token(origin: Origin) -> None:
    ada, bob = await origin.person(), await origin.person()
    video_id = await origin.published(ada, title="secret", visibility="private")
    (caption,) = await put(origin, ada, video_id, "en")
    assert caption["url"].startswith("/t/")
    assert (await origin.call("GET", caption["url"]))[0] == 200
    bare = caption["url"][caption["url"].index("/videos/") :]
    for who in (None, bob, ada):  # a player sends no access token, and having one must not tell that there is a video
        assert (await origin.call("GET", bare, who))[0] == 404
    assert (await origin.call("GET", bare, SERVICE))[0] == 200
    assert (await origin.call("GET", f"/api/v1/videos/{video_id}/captions", bob))[0] == 404
