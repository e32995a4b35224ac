"""Playlists gzipped at the edge: the same text for everybody, in the bytes each can read, in both lanes."""

from __future__ import annotations

import asyncio
import gzip
import random

import pytest

from edge.delivery.lab.scripted_origin import Reply, file_reply
from foundation.wire.pops import PurgeOrder

TEXT = b"".join(b"#EXTINF:2.0,\nsegment%05d.m4s\n" % number for number in range(200))
PLAYLIST = {"Cache-Control": "max-age=100", "Content-Type": "application/vnd.apple.mpegurl", "ETag": '"1"'}
GZIP = {"accept_encoding": "gzip, deflate, br"}


def playlist(body: bytes = TEXT, **fields: str) -> Reply:
    return Reply(headers={**PLAYLIST, **fields}, body=body)


def text_of(got) -> bytes:
    return gzip.decompress(got.body) if got.headers.get("Content-Encoding") == "gzip" else got.body


@pytest.mark.parametrize("etag", ['"1"', 'W/"1"', None])
async def test_each_gets_the_text_in_the_coding_it_takes(edge, etag):
    fields = {name: value for name, value in PLAYLIST.items() if name != "ETag"}
    edge.origin.script = lambda asked: Reply(headers=fields | ({"ETag": etag} if etag else {}), body=TEXT)
    for turn in range(4):
        for headers in (GZIP, {}, {"accept_encoding": "gzip;q=0"}, {"accept_encoding": "gzip"}):
            got = await edge.get("/v.m3u8", **headers)
            assert text_of(got) == TEXT
            assert got.headers["Vary"] == "Accept-Encoding"
            if turn:
                assert ("Content-Encoding" in got.headers) is (headers.get("accept_encoding") not in (None, "gzip;q=0"))
    assert len(edge.origin.asked) == 1
    assert edge.delivery.tally.coded == 1
    assert edge.delivery.tally.fast.hits >= 8
    assert edge.origin.asked[0].headers["Accept-Encoding"] == "gzip, br"


async def test_many_who_come_at_once_have_it_coded_once(edge):
    edge.origin.script = lambda asked: playlist()
    await edge.get("/v.m3u8")
    got = await asyncio.gather(*(edge.get("/v.m3u8", **GZIP) for _ in range(50)))
    assert all(text_of(one) == TEXT for one in got)
    assert edge.delivery.tally.coded == 1


async def test_validators_and_ranges_keep_to_their_bytes(edge):
    edge.origin.script = lambda asked: file_reply(asked, TEXT, etag='"1"', headers=PLAYLIST)
    for _ in range(3):
        got = await edge.get("/v.m3u8", **GZIP)
    assert got.headers["ETag"] == 'W/"1"'
    assert got.headers["Content-Length"] == str(len(got.body))
    for tag in ('"1"', 'W/"1"'):
        for headers in (GZIP, {}):
            same = await edge.get("/v.m3u8", **headers, if_none_match=tag)
            assert (same.status, same.body) == (304, b"")
    for _ in range(3):
        part = await edge.get("/v.m3u8", **GZIP, range="bytes=5-9")
        assert (part.status, part.body, part.headers["ETag"]) == (206, TEXT[5:10], '"1"')
        assert "Content-Encoding" not in part.headers
        assert (await edge.get("/v.m3u8", **GZIP)).headers["Content-Encoding"] == "gzip"
    head = await edge.get("/v.m3u8", method="HEAD", **GZIP)
    assert (head.headers["Content-Length"], head.headers["Content-Encoding"]) == (got.headers["Content-Length"], "gzip")


async def test_what_is_coded_goes_with_what_it_was_made_of(edge):
    edge.origin.script = lambda asked: playlist()
    for _ in range(3):
        await edge.get("/v.m3u8", **GZIP)
    await edge.delivery.purge(PurgeOrder(seq=1, url="/v.m3u8"))
    assert edge.delivery.shelves.ram.used == 0
    edge.origin.script = lambda asked: playlist(TEXT[::-1], ETag='"2"')
    for _ in range(3):
        assert text_of(await edge.get("/v.m3u8", **GZIP)) == TEXT[::-1]


async def test_a_change_at_the_origin_changes_the_coded_text(edge):
    edge.origin.script = lambda asked: playlist(**{"Cache-Control": "max-age=5"})
    for _ in range(3):
        await edge.get("/v.m3u8", **GZIP)
    edge.clock.advance(6)
    edge.origin.script = lambda asked: playlist(TEXT * 2, ETag='"2"')
    for _ in range(3):
        got = await edge.get("/v.m3u8", **GZIP)
        assert text_of(got) == TEXT * 2
    assert got.headers["ETag"] == 'W/"2"'


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (TEXT, {"Content-Type": "video/mp4"}),
        (TEXT, {"Content-Encoding": "br"}),
        (TEXT, {"Cache-Control": "max-age=9, no-transform"}),
        (b"short", {}),
    ],
)
async def test_what_is_not_text_or_not_ours_to_code_is_left_alone(edge, body, fields):
    edge.origin.script = lambda asked: playlist(body, **fields)
    for _ in range(4):
        got = await edge.get("/v.m3u8", **GZIP)
        assert (got.body, got.headers.get("Content-Encoding")) == (body, fields.get("Content-Encoding"))
        assert "Vary" not in got.headers
    assert edge.delivery.tally.fast.hits == 3


async def test_what_does_not_shrink_is_tried_once(edge):
    noise = random.Random(1).randbytes(4096)
    edge.origin.script = lambda asked: playlist(noise)
    for _ in range(4):
        got = await edge.get("/v.m3u8", **GZIP)
        assert "Content-Encoding" not in got.headers
        assert got.body == noise
    assert edge.delivery.tally.coded == 1
    assert edge.delivery.tally.fast.hits >= 1


async def test_text_is_coded_again_after_a_restart(open_edge, origin, tmp_path):
    origin.script = lambda asked: playlist()
    first = await open_edge(cache_dir=tmp_path)
    await first.get("/v.m3u8", **GZIP)
    await first.delivery.flush()
    second = await open_edge(cache_dir=tmp_path)
    got = [await second.get("/v.m3u8", **GZIP) for _ in range(3)]
    assert [text_of(one) for one in got] == [TEXT] * 3
    assert got[-1].headers["Content-Encoding"] == "gzip"
    assert len(origin.asked) == 1


async def test_it_can_be_turned_off(open_edge):
    edge = await open_edge(compress_text=False)
    edge.origin.script = lambda asked: playlist()
    for _ in range(3):
        got = await edge.get("/v.m3u8", **GZIP)
        assert (got.body, got.headers.get("Vary")) == (TEXT, None)
