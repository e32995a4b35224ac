"""init, parts, complete: limits told early, any order, resends harmless, exactly one job."""

from __future__ import annotations

import asyncio
import io
import random

import pytest

from tests.origin_harness import CLIP, Json, Origin

BIG = CLIP + random.Random(1).randbytes(11 * 1024 * 1024)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_parts_arrive_in_any_order_in_parallel_and_twice(origin: Origin) -> None:
    ada = await origin.person()
    ticket = await origin.begin(ada, BIG)
    size = ticket["chunkSize"]
    parts = [(number, BIG[start : start + size]) for number, start in enumerate(range(0, len(BIG), size), start=1)]
    sends = [*parts, *parts]
    random.Random(2).shuffle(sends)
    await asyncio.gather(
        *(origin.ok("PUT", f"{ticket['uploadUrl']}?part={number}", ada, data=data) for number, data in sends)
    )
    received = await origin.ok("GET", ticket["uploadUrl"], ada)
    assert [(part["part"], part["size"]) for part in received["parts"]] == [(n, len(data)) for n, data in parts]
    assert received["receivedBytes"] == received["filesize"] == len(BIG)
    await origin.ok("POST", f"/api/v1/videos/{ticket['videoId']}/upload/complete", ada, json={"title": "big"})
    await origin.until(ada, ticket["videoId"], lambda status: status["status"] == "ready")


async def test_completing_early_names_the_missing_parts(origin: Origin) -> None:
    ada = await origin.person()
    ticket = await origin.begin(ada, BIG)
    await origin.ok(
        "PUT", f"{ticket['uploadUrl']}?part=2", ada, data=BIG[ticket["chunkSize"] : 2 * ticket["chunkSize"]]
    )
    status, problem = await origin.call("POST", f"/api/v1/videos/{ticket['videoId']}/upload/complete", ada, json={})
    assert (status, problem["code"], problem["missingParts"]) == (409, "upload-incomplete", [1, 3])


async def test_twenty_completes_at_once_make_one_job_and_one_video(origin: Origin) -> None:
    ada = await origin.person()
    ticket = await origin.begin(ada)
    await origin.send(ada, ticket)
    path = f"/api/v1/videos/{ticket['videoId']}/upload/complete"
    answers = await asyncio.gather(*(origin.call("POST", path, ada, json={"title": "once"}) for _ in range(20)))
    assert {status for status, _ in answers} == {200}
    await origin.until(ada, ticket["videoId"], lambda status: status["progress"] == 1)

    async def logged() -> list[Json]:
        changes = (await origin.changes() or {"changes": []})["changes"]
        return [change for change in changes if change["videoId"] == ticket["videoId"]]

    upserts = await origin.eventually(logged)
    assert {change["item"]["revision"] for change in upserts} == {1}
    again = await origin.ok("POST", path, ada, json={"title": "once more"})
    assert again["status"] == "ready"
    assert (await origin.ok("GET", f"/api/v1/videos/{ticket['videoId']}"))["title"] == "once"


async def test_a_client_made_id_gives_the_same_upload_again_and_counts_once(origin: Origin) -> None:
    ada = await origin.person(tier="free")
    tickets = [await origin.begin(ada, videoId="7b0c1d9e-2222-4f6c-9d3e-1f2a3b4c5d6e") for _ in range(5)]
    assert len({ticket["videoId"] for ticket in tickets}) == 1
    by_header = {"headers": {"Idempotency-Key": "a-key"}, "json": {"filename": "a.mp4", "filesize": 10}}
    first = await origin.ok(
        "POST", "/api/v1/videos/upload/init", ada, **{**by_header, "headers": {"Idempotency-Key": "k"}}
    )
    second = await origin.ok(
        "POST", "/api/v1/videos/upload/init", ada, **{**by_header, "headers": {"Idempotency-Key": "k"}}
    )
    assert first["videoId"] == second["videoId"]


async def test_the_daily_quota_is_told_and_enforced_before_any_byte(origin: Origin) -> None:
    ada = await origin.person(tier="free")
    body = {"filename": "a.mp4", "filesize": 1000, "duration_ms": 15000}
    told = await origin.ok("GET", "/api/v1/videos/upload/limits", ada)
    assert (told["uploadsADay"], told["uploadsLeft"], told["maxFileBytes"]) == (3, 3, origin.settings.max_file_bytes)
    assert 0 < told["resetsIn"] <= 86_400
    left = []
    for _ in range(3):
        async with origin.http.post(
            f"{origin.url}/api/v1/videos/upload/init", json=body, headers=ada.headers
        ) as answer:
            assert answer.status == 201
            assert '"uploads";q=3;w=86400' in answer.headers["RateLimit-Policy"]
            left.append(answer.headers["RateLimit"].split(";")[1])
    assert left == ["r=2", "r=1", "r=0"]
    assert (await origin.ok("GET", "/api/v1/videos/upload/limits", ada))["uploadsLeft"] == 0
    async with origin.http.post(f"{origin.url}/api/v1/videos/upload/init", json=body, headers=ada.headers) as answer:
        assert answer.status == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 86400
        assert (await answer.json())["code"] == "quota-exceeded"


async def test_an_upload_that_could_not_begin_costs_nothing_of_the_day(origin: Origin) -> None:
    ada = await origin.person(tier="free")
    ticket = await origin.begin(ada)  # one; its video is not there yet, so its file cannot be replaced
    body = {"filename": "b.mp4", "filesize": 1000}
    assert (await origin.call("POST", f"/api/v1/videos/{ticket['videoId']}/replace", ada, json=body))[0] == 409
    assert (await origin.ok("GET", "/api/v1/videos/upload/limits", ada))["uploadsLeft"] == 2


async def test_bad_announcements_are_refused_with_a_reason(origin: Origin) -> None:
    ada = await origin.person()
    for body, expected in [
        ({"filename": "a.mp4", "filesize": 0}, (400, "bad-input")),
        ({"filename": "a.mp4", "filesize": 10 * 1024**3}, (413, "file-too-large")),
        ({"filename": "a.mp4", "filesize": 10, "durationMs": 3_600_000}, (400, "duration-refused")),
        ({"filename": "../etc/passwd", "filesize": 10}, (400, "bad-input")),
        ({"filename": "a.mp4"}, (400, "bad-input")),
    ]:
        status, problem = await origin.call("POST", "/api/v1/videos/upload/init", ada, json=body)
        assert (status, problem["code"]) == expected, problem


async def test_parts_of_the_wrong_size_or_number_are_refused(origin: Origin) -> None:
    ada = await origin.person()
    ticket = await origin.begin(ada)
    for part, data in [(1, CLIP + b"x"), (1, CLIP[:-1]), (2, CLIP), (0, CLIP), (10_001, CLIP)]:
        status, problem = await origin.call("PUT", f"{ticket['uploadUrl']}?part={part}", ada, data=data)
        assert (status, problem["code"]) == (400, "bad-input")


async def test_what_is_no_video_is_refused_at_complete_and_the_video_fails_with_the_reason(origin: Origin) -> None:
    ada = await origin.person()
    for data, code in [
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "playlist"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "image"),
        (bytes(4096), "not-media"),
        (b"hello, this is no video at all" * 9, "container"),
    ]:
        ticket = await origin.begin(ada, data)
        await origin.send(ada, ticket, data)
        path = f"/api/v1/videos/{ticket['videoId']}"
        status, problem = await origin.call("POST", f"{path}/upload/complete", ada, json={})
        assert (status, problem["code"]) == (415, code)
        told = await origin.ok("GET", f"{path}/status", ada)
        assert (told["status"], told["code"]) == ("failed", code)


async def test_presigned_parts_go_straight_to_the_store(origin: Origin) -> None:
    ada = await origin.person()
    body = {"filename": "a.mp4", "filesize": len(BIG)}
    ticket = await origin.ok("POST", "/api/v1/videos/upload/presigned", ada, json=body)
    urls = await origin.ok("POST", f"{ticket['uploadUrl']}/urls", ada, json={"parts": [3, 1, 2]})
    size = ticket["chunkSize"]

    async def put(part: dict) -> None:
        data = BIG[(part["part"] - 1) * size : part["part"] * size]
        async with origin.http.put(part["url"], data=io.BytesIO(data)) as answer:
            assert answer.status == 200

    await asyncio.gather(*(put(part) for part in urls["parts"][:2]))
    assert [part["part"] for part in (await origin.ok("GET", ticket["uploadUrl"], ada))["parts"]] == [1, 3]
    status, problem = await origin.call("POST", f"/api/v1/videos/{ticket['videoId']}/upload/complete", ada, json={})
    assert (status, problem["code"]) == (409, "upload-incomplete")
    await put(urls["parts"][2])
    await origin.ok("POST", f"/api/v1/videos/{ticket['videoId']}/upload/complete", ada, json={})
    await origin.until(ada, ticket["videoId"], lambda status: status["status"] == "ready")


async def test_others_cannot_touch_an_upload(origin: Origin) -> None:
    ada, eve = await origin.person(), await origin.person()
    ticket = await origin.begin(ada)
    for method, path, request in [
        ("PUT", f"{ticket['uploadUrl']}?part=1", {"data": CLIP}),
        ("GET", ticket["uploadUrl"], {}),
        ("POST", f"/api/v1/videos/{ticket['videoId']}/upload/complete", {"json": {}}),
    ]:
        assert (await origin.call(method, path, eve, **request))[0] == 403
        assert (await origin.call(method, path, **request))[0] == 401
