"""tus 1.0 with a client nobody here wrote (tuspy), and by hand where the protocol has edges."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import random

import pytest
from tusclient import client as tus_client
from tusclient.exceptions import TusCommunicationError

from tests.origin_harness import CLIP, Origin, Person

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/api/v1/uploads/tus"
TUS = {"Tus-Resumable": "1.0.0"}
BODY = {**TUS, "Content-Type": "application/offset+octet-stream"}
BIG = CLIP + random.Random(3).randbytes(11 * 1024 * 1024)


def metadata(**pairs: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


async def create(origin: Origin, who: Person, size: int | None, **headers: str) -> str:
    length = {"Upload-Length": str(size)} if size is not None else {"Upload-Defer-Length": "1"}
    sent = {**TUS, **who.headers, **length, "Upload-Metadata": metadata(filename="clip.mp4"), **headers}
    async with origin.http.post(origin.url + PATH, headers=sent) as answer:
        assert answer.status == 201, await answer.text()
        assert answer.headers["Upload-Expires"].endswith("GMT")
        return answer.headers["Location"]


async def patch(
    origin: Origin, who: Person, url: str, offset: int, data: bytes, **headers: str
) -> tuple[int, str | None]:
    sent = {**BODY, **who.headers, "Upload-Offset": str(offset), **headers}
    async with origin.http.patch(origin.url + url, headers=sent, data=io.BytesIO(data)) as answer:
        return answer.status, answer.headers.get("Upload-Offset")


async def offset_of(origin: Origin, who: Person, url: str) -> int:
    async with origin.http.head(origin.url + url, headers={**TUS, **who.headers}) as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
        return int(answer.headers["Upload-Offset"])


async def test_tuspy_uploads_is_interrupted_and_resumes(origin: Origin) -> None:
    ada = await origin.person()

    def upload() -> str:
        headers = {"Authorization": ada.headers["Authorization"]}
        client = tus_client.TusClient(f"{origin.url}{PATH}", headers=headers)
        first = client.uploader(
            file_stream=io.BytesIO(BIG),
            chunk_size=3 * 1024 * 1024,
            metadata={"filename": "clip.mp4", "title": "by tus", "hashtags": "tus,test", "complete": "true"},
        )
        first.upload(stop_at=6 * 1024 * 1024)
        resumed = client.uploader(file_stream=io.BytesIO(BIG), chunk_size=2_000_000, url=first.url)
        assert resumed.offset == 6 * 1024 * 1024
        resumed.upload()
        return str(resumed.url)

    url = await asyncio.to_thread(upload)
    video_id = url.rsplit("/", 1)[1]
    await origin.until(ada, video_id, lambda status: status["status"] == "ready")
    video = await origin.ok("GET", f"/api/v1/videos/{video_id}")
    assert (video["title"], video["hashtags"]) == ("by tus", ["tus", "test"])


async def test_tuspy_sends_checksums_that_are_verified(origin: Origin) -> None:
    ada = await origin.person()

    def upload() -> str:
        client = tus_client.TusClient(f"{origin.url}{PATH}", headers=dict(ada.headers))
        uploader = client.uploader(
            file_stream=io.BytesIO(CLIP), chunk_size=1000, metadata={"filename": "c.mp4"}, upload_checksum=True
        )
        uploader.upload()
        return str(uploader.url)

    url = await asyncio.to_thread(upload)
    assert await offset_of(origin, ada, url.removeprefix(origin.url)) == len(CLIP)


async def test_tuspy_sees_the_refusal_of_a_file_too_large(origin: Origin) -> None:
    ada = await origin.person()
    client = tus_client.TusClient(f"{origin.url}{PATH}", headers=dict(ada.headers))

    class Huge(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            super().seek(offset, whence)
            return 10 * 1024**3

        def tell(self) -> int:
            return 10 * 1024**3

    def upload() -> None:
        client.uploader(file_stream=Huge(b"x"), chunk_size=1000, metadata={"filename": "c.mp4"}).upload()

    with pytest.raises(TusCommunicationError) as caught:
        await asyncio.to_thread(upload)
    assert caught.value.status_code == 413


async def test_odd_pieces_and_a_length_told_last_make_the_same_file(origin: Origin) -> None:
    ada = await origin.person()
    url = await create(origin, ada, None)
    offset = 0
    for size in (1, 1999, 7_000_000, 3_000_000, len(BIG)):
        piece = BIG[offset : offset + size]
        status, told = await patch(origin, ada, url, offset, piece)
        offset += len(piece)
        assert (status, told) == (204, str(offset))
    status, told = await patch(origin, ada, url, offset, b"", **{"Upload-Length": str(len(BIG))})
    assert (status, told) == (204, str(len(BIG)))
    video_id = url.rsplit("/", 1)[1]
    await origin.ok("POST", f"/api/v1/videos/{video_id}/upload/complete", ada, json={"title": "odd"})
    await origin.until(ada, video_id, lambda state: state["status"] == "ready")


async def test_a_connection_that_breaks_keeps_what_arrived(origin: Origin) -> None:
    ada = await origin.person()
    url = await create(origin, ada, len(BIG))
    host, port = origin.settings.listen.split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = [f"PATCH {url} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(BIG)}", "Upload-Offset: 0"]
    head += [f"{name}: {value}" for name, value in {**BODY, **ada.headers}.items()]
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + BIG[:6_000_000])
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    async def arrived() -> int:
        return await offset_of(origin, ada, url)

    offset = await origin.eventually(arrived)
    assert 0 < offset <= 6_000_000
    assert await patch(origin, ada, url, offset, BIG[offset:]) == (204, str(len(BIG)))
    video_id = url.rsplit("/", 1)[1]
    await origin.ok("POST", f"/api/v1/videos/{video_id}/upload/complete", ada, json={})
    await origin.until(ada, video_id, lambda state: state["status"] == "ready")


async def test_of_two_patches_at_one_offset_one_counts(origin: Origin) -> None:
    ada = await origin.person()
    url = await create(origin, ada, len(CLIP))
    answers = await asyncio.gather(*(patch(origin, ada, url, 0, CLIP) for _ in range(6)))
    assert sorted(status for status, _ in answers) == [204, 409, 409, 409, 409, 409]
    assert await offset_of(origin, ada, url) == len(CLIP)


async def test_creation_takes_the_first_bytes_and_termination_ends_it(origin: Origin) -> None:
    ada, eve = await origin.person(), await origin.person()
    sent = {**BODY, **ada.headers, "Upload-Length": str(len(CLIP)), "Upload-Metadata": metadata(filename="a.mp4")}
    async with origin.http.post(origin.url + PATH, headers=sent, data=CLIP[:100]) as answer:
        assert (answer.status, answer.headers["Upload-Offset"]) == (201, "100")
        url = answer.headers["Location"]
    assert (await origin.call("DELETE", url, eve, headers=TUS))[0] == 404
    assert (await origin.call("DELETE", url, ada, headers=TUS))[0] == 204
    async with origin.http.head(origin.url + url, headers={**TUS, **ada.headers}) as answer:
        assert answer.status in (404, 410)


async def test_the_edges_of_the_protocol(origin: Origin) -> None:
    ada = await origin.person()
    async with origin.http.options(origin.url + PATH) as answer:
        assert answer.status == 204
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert "checksum" in answer.headers["Tus-Extension"]
        assert "sha1" in answer.headers["Tus-Checksum-Algorithm"]
    wrong = {**ada.headers, "Tus-Resumable": "0.2.2", "Upload-Length": "10"}
    async with origin.http.post(origin.url + PATH, headers=wrong) as answer:
        assert (answer.status, answer.headers["Tus-Version"]) == (412, "1.0.0")
    url = await create(origin, ada, len(CLIP))
    good = base64.b64encode(hashlib.sha1(CLIP[:10]).digest()).decode()
    assert await patch(origin, ada, url, 0, CLIP[1:11], **{"Upload-Checksum": f"sha1 {good}"}) == (460, None)
    assert await offset_of(origin, ada, url) == 0
    assert (await patch(origin, ada, url, 0, CLIP[:10], **{"Upload-Checksum": "crc32 AAAA"}))[0] == 400
    assert await patch(origin, ada, url, 0, CLIP[:10], **{"Upload-Checksum": f"sha1 {good}"}) == (204, "10")
    assert (await patch(origin, ada, url, 5, CLIP[5:]))[0] == 409
    assert (await patch(origin, ada, url, 10, CLIP + CLIP))[0] == 413
    assert (await patch(origin, ada, url, 10, CLIP, **{"Content-Type": "text/plain"}))[0] == 415
    override = {**BODY, **ada.headers, "Upload-Offset": "10", "X-HTTP-Method-Override": "PATCH"}
    async with origin.http.post(origin.url + url, headers=override, data=CLIP[10:]) as answer:
        assert (answer.status, answer.headers["Upload-Offset"]) == (204, str(len(CLIP)))
    for headers in (
        {},
        {"Upload-Length": "5", "Upload-Defer-Length": "1"},
        {"Upload-Length": "-1"},
        {"Upload-Length": "0"},
    ):
        async with origin.http.post(origin.url + PATH, headers={**TUS, **ada.headers, **headers}) as answer:
            assert answer.status == 400, headers
