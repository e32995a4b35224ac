"""Ranges (RFC 9110 section 14): both lanes, every body kind, always the right bytes."""

from __future__ import annotations

import random

import pytest

from edge.delivery.lab.scripted_origin import Reply, file_reply

BODY = random.Random(9).randbytes(150_000)

CASES = [
    ("bytes=0-0", 206, BODY[:1]),
    ("bytes=0-", 206, BODY),
    ("bytes=-1", 206, BODY[-1:]),
    ("bytes=-150001", 206, BODY),
    ("bytes=149999-", 206, BODY[-1:]),
    ("bytes=16383-16384", 206, BODY[16383:16385]),
    ("bytes=16384-81919", 206, BODY[16384:81920]),
    ("bytes=100-999999", 206, BODY[100:]),
    ("BYTES=5-6", 206, BODY[5:7]),
    ("bytes=150000-", 416, b""),
    ("bytes=-0", 416, b""),
    ("bytes=5-4", 200, BODY),
    ("bytes=a-b", 200, BODY),
    ("bytes=", 200, BODY),
    ("items=0-5", 200, BODY),
    ("bytes=0-1,", 206, BODY[:2]),
    ("bytes=0-9,5-20", 206, BODY[:21]),
    ("bytes=0-1,2-3", 206, BODY[:4]),
    ("bytes=" + ",".join(f"{n}-{n}" for n in range(0, 40, 2)), 200, BODY),
]


@pytest.mark.parametrize(("asked_for", "status", "body"), CASES)
@pytest.mark.parametrize("path", ["/v.mp4", "/v.bin"])
async def test_a_range_cold_then_warm(edge, path, asked_for, status, body):
    """First on an empty cache, then from the store, then from memory: the same answer thrice."""
    edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"r"')
    for _ in range(3):
        got = await edge.get(path, range=asked_for)
        assert got.status == status
        assert got.body == body
        if status == 416:
            assert got.headers["Content-Range"] == "bytes */150000"


async def test_an_origin_without_ranges_is_fetched_whole(edge):
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=9", "ETag": '"w"'}, body=BODY)
    assert (await edge.get("/v.mp4", range="bytes=70000-70009")).body == BODY[70000:70010]
    assert (await edge.get("/v.mp4")).body == BODY
    assert len(edge.origin.asked) == 1


async def test_an_origin_with_ranges_but_a_weak_etag_is_fetched_whole(edge):
    edge.origin.script = lambda asked: file_reply(asked, BODY, etag='W/"w"')
    for _ in range(2):
        assert (await edge.get("/v.mp4", range="bytes=70000-70009")).body == BODY[70000:70010]
    assert "Range" not in edge.origin.asked[-1].headers


async def test_several_ranges_make_a_multipart_body(edge):
    edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"m"')
    got = await edge.get("/v.mp4", range="bytes=0-4, 20000-20004, -3")
    assert got.status == 206
    boundary = got.headers["Content-Type"].partition("boundary=")[2].encode()
    assert got.headers["Content-Type"].startswith("multipart/byteranges;")
    parts = got.body.split(b"\r\n--" + boundary)
    assert parts[-1] == b"--\r\n"
    wanted = [(0, BODY[:5]), (20000, BODY[20000:20005]), (149997, BODY[-3:])]
    for part, (start, payload) in zip(parts[1:-1], wanted, strict=True):
        head, _, body = part.partition(b"\r\n\r\n")
        assert f"bytes {start}-{start + len(payload) - 1}/150000".encode() in head
        assert body == payload


async def test_head_ignores_range(edge):
    edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"h"')
    await edge.get("/v.mp4")
    got = await edge.get("/v.mp4", method="HEAD", range="bytes=0-4")
    assert (got.status, got.headers["Content-Length"]) == (200, "150000")


async def test_random_ranges_always_give_the_right_bytes(disk_edge):
    disk_edge.origin.script = lambda asked: file_reply(asked, BODY, etag='"z"')
    rng = random.Random(1)
    async with disk_edge.client() as client:
        for _ in range(150):
            first = rng.randrange(len(BODY))
            last = rng.randrange(first, len(BODY))
            got = await client.get("/v.mp4", range=f"bytes={first}-{last}")
            assert got.body == BODY[first : last + 1]
