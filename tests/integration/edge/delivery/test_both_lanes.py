"""The fast lane and the slow lane give the same answer to the same request, field by field and byte by byte."""

from __future__ import annotations

import random

import pytest

from edge.delivery.lab.scripted_origin import Asked, Reply, file_reply, http_date

BODY = random.Random(12).randbytes(150_000)
SLOWLY = {"max_forwards": "9"}
"""A field the fast lane leaves to the slow one and that changes nothing."""

REQUESTS = [
    {},
    {"method": "HEAD"},
    {"if_none_match": '"v"'},
    {"method": "HEAD", "if_none_match": '"v"'},
    {"if_none_match": '"v"', "range": "bytes=0-1"},
    {"range": "bytes=0-0"},
    {"range": "bytes=100-99999"},
    {"range": "bytes=-500"},
    {"range": "bytes=149999-"},
    {"range": "bytes=16383-16384"},
    {"range": "bytes=200000-"},
    {"range": "bytes=0-1,5-6"},
    {"method": "HEAD", "range": "bytes=0-1"},
    {"origin": "https://app.test"},
]


def script(asked: Asked) -> Reply:
    extra = {
        "Cache-Groups": '"video-1"',
        "Last-Modified": http_date(1_780_000_000),
        "Cache-Status": "shield; hit; ttl=3",
        "X-Odd": "ö",
        "Age": "7",
    }
    return file_reply(asked, BODY, etag='"v"', headers=extra)


@pytest.mark.parametrize("cors", ["", "*"])
@pytest.mark.parametrize("request_fields", REQUESTS, ids=str)
async def test_the_answers_are_equal(open_edge, cors, request_fields):
    edge = await open_edge(cors_origin=cors)
    edge.origin.script = script
    await edge.get("/v.mp4")
    edge.clock.advance(17)
    async with edge.client() as client:
        before = edge.delivery.tally.fast.hits
        fast = await client.get("/v.mp4", **request_fields)
        taken = edge.delivery.tally.fast.hits - before
        slow = await client.get("/v.mp4", **request_fields, **SLOWLY)
    assert edge.delivery.tally.fast.hits - before == taken
    assert taken == 1 or request_fields.get("range") in ("bytes=200000-", "bytes=0-1,5-6")
    assert (fast.status, fast.reason, fast.body) == (slow.status, slow.reason, slow.body)
    assert sorted(fast.headers.items()) == sorted(slow.headers.items())
