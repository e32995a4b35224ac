"""What a client may do wrong, over the public API of a PoP: each time a clear problem document, never a 500."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from popreel.client.upload import Description, Outcome, Uploader
from popreel.lab.throwaway import ThrowawayPlatform


@pytest.fixture(scope="module")
def token(platform: ThrowawayPlatform) -> str:
    return platform.token("clumsy")


@pytest.fixture
def uploader(platform: ThrowawayPlatform, http: aiohttp.ClientSession, token: str) -> Uploader:
    return Uploader(session=http, base_url=platform.pop_url, token=lambda: token)


async def _problem(answer: aiohttp.ClientResponse, *, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem document of an answer, checked for its shape (RFC 9457)."""
    assert answer.status == status, await answer.text()
    assert answer.content_type == "application/problem+json"
    problem: dict[str, Any] = await answer.json(content_type="application/problem+json")
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    if code is not None:
        assert problem["type"].endswith(f"/{code}")
    return problem


async def _upload(uploader: Uploader, file: Path) -> Outcome:
    return await uploader.upload(file, Description(title=file.stem), watch=lambda progress: None)


async def test_an_empty_file_is_refused_before_any_byte(
    platform: ThrowawayPlatform, http: aiohttp.ClientSession, token: str
) -> None:
    async with http.post(
        f"{platform.pop_url}/api/v1/videos/upload/init",
        json={"filename": "empty.mp4", "filesize": 0},
        headers={"Authorization": f"Bearer {token}"},
    ) as answer:
        await _problem(answer, status=400)


async def test_ten_gigabytes_are_refused_before_any_byte(
    platform: ThrowawayPlatform, http: aiohttp.ClientSession, token: str
) -> None:
    async with http.post(
        f"{platform.pop_url}/api/v1/videos/upload/init",
        json={"filename": "huge.mp4", "filesize": 10 * 1024**3},
        headers={"Authorization": f"Bearer {token}"},
    ) as answer:
        problem = await _problem(answer, status=413, code="file-too-large")
        assert "2" in problem["detail"]  # says what is allowed


async def test_a_file_that_is_no_video_is_refused_with_a_reason(uploader: Uploader, tmp_path: Path) -> None:
    file = tmp_path / "letter.mp4"
    file.write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 400)
    outcome = await _upload(uploader, file)
    assert not outcome.ready
    assert outcome.code
    assert outcome.reason
    assert "internal" not in outcome.code


async def test_a_truncated_video_is_refused_with_a_reason(
    uploader: Uploader, make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    whole = make_clip("whole").read_bytes()
    file = tmp_path / "truncated.mp4"
    file.write_bytes(whole[: len(whole) // 2])  # the index stands at the end and is gone
    outcome = await _upload(uploader, file)
    assert not outcome.ready
    assert outcome.code
    assert outcome.reason
    assert "internal" not in outcome.code


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://127.0.0.1:8085/secret.ts"])
async def test_a_text_playlist_is_refused_and_never_followed(uploader: Uploader, tmp_path: Path, target: str) -> None:
    file = tmp_path / "playlist.mp4"
    file.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n" * 50)
    outcome = await _upload(uploader, file)
    assert not outcome.ready
    assert outcome.code
    assert outcome.reason
    assert "root:" not in outcome.reason


@pytest.mark.parametrize("wrong", ["nonsense", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", ""])
async def test_a_wrong_token_is_refused(platform: ThrowawayPlatform, http: aiohttp.ClientSession, wrong: str) -> None:
    async with http.post(
        f"{platform.pop_url}/api/v1/videos/upload/init",
        json={"filename": "clip.mp4", "filesize": 1000},
        headers={"Authorization": f"Bearer {wrong}"},
    ) as answer:
        await _problem(answer, status=401, code="unauthenticated")


@pytest.mark.parametrize("base", ["pop_url", "origin_url"])
@pytest.mark.parametrize(("video_id", "status"), [("7", 404), ("9223372036854775807", 404), ("abc", 400), ("-1", 400)])
async def test_an_unknown_id_is_told_so(
    platform: ThrowawayPlatform, http: aiohttp.ClientSession, token: str, base: str, video_id: str, status: int
) -> None:
    url = f"{getattr(platform, base)}/api/v1/videos/{video_id}/status"
    async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
        await _problem(answer, status=status)


async def test_media_of_an_unknown_video_is_told_so(platform: ThrowawayPlatform, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{platform.pop_url}/videos/us-east/7/master.m3u8") as answer:
        assert answer.status == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"filename": 3, "filesize": 1}', b'{"filename": "a.mp4"}'])
async def test_a_malformed_body_is_told_so(
    platform: ThrowawayPlatform, http: aiohttp.ClientSession, token: str, body: bytes
) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with http.post(f"{platform.pop_url}/api/v1/videos/upload/init", data=body, headers=headers) as answer:
        await _problem(answer, status=400)


async def test_somebody_elses_upload_is_not_mine_to_finish(
    platform: ThrowawayPlatform, http: aiohttp.ClientSession, uploader: Uploader
) -> None:
    ticket = await uploader.init("mine.mp4", 1000)
    stranger = platform.token("stranger")
    async with http.post(
        f"{platform.pop_url}/api/v1/videos/{ticket.video_id}/upload/complete",
        json={"title": "not mine"},
        headers={"Authorization": f"Bearer {stranger}"},
    ) as answer:
        assert answer.status in (403, 404)
        await _problem(answer, status=answer.status)


async def test_an_upload_without_its_parts_cannot_be_finished(
    platform: ThrowawayPlatform, http: aiohttp.ClientSession, uploader: Uploader, token: str
) -> None:
    ticket = await uploader.init("hollow.mp4", 1000)
    async with http.post(
        f"{platform.pop_url}/api/v1/videos/{ticket.video_id}/upload/complete",
        json={"title": "hollow"},
        headers={"Authorization": f"Bearer {token}"},
    ) as answer:
        await _problem(answer, status=409, code="upload-incomplete")
