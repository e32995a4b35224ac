"""What is gzipped, for whom, and what its fields say then."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from edge.delivery.rules.content_coding import accepted, coded, is_codable, takes_gzip, with_vary


@pytest.mark.parametrize(
    ("text", "takes"),
    [
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("GZIP;q=0.5", True),
        ("x-gzip", True),
        ("*", True),
        ("br, *;q=0.1", True),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("gzip;q=0", False),
        ("*, gzip;q=0", False),
        ("identity", False),
        ("gzip;q=0.2, identity;q=0.3", False),
        ("", False),
        ("br", False),
        ("gzip;q=nan", False),
        ("gzip;q=-1", False),
        ("gzip;level=9", False),
    ],
)
def test_who_takes_gzip(text, takes):
    assert takes_gzip([text]) is takes


def test_weights_may_stand_in_several_lines():
    assert takes_gzip(["br", "gzip;q=0.3"])
    assert not takes_gzip([])


@pytest.mark.parametrize(
    ("lines", "normal"),
    [
        (["gzip, deflate, br, zstd"], "gzip, br, zstd"),
        (["zstd;q=0.1 , BR", "x-gzip"], "gzip, br, zstd"),
        (["br;q=1.0, gzip;q=0.8, *;q=0.1"], "gzip, br, zstd"),
        (["*, br;q=0"], "gzip, zstd"),
        (["deflate"], "identity"),
        ([""], "identity"),
        (["identity, gzip;q=0.5"], "identity"),
        (["gzip, identity;q=0"], "gzip, identity;q=0"),
        (["*;q=0, br"], "br, identity;q=0"),
        (["identity;q=0.5, *;q=0"], "identity"),
        (["*;q=0"], "identity;q=0"),
    ],
)
def test_spellings_of_one_wish_have_one_normal_form(lines, normal):
    assert accepted(lines) == normal
    assert accepted([normal]) == normal


@pytest.mark.parametrize(
    ("kind", "status", "total", "more", "codable"),
    [
        ("application/vnd.apple.mpegurl", 200, 2_000, {}, True),
        ("Text/VTT; charset=utf-8", 200, 2_000, {}, True),
        ("video/mp4", 200, 2_000, {}, False),
        ("text/plain", 404, 2_000, {}, False),
        ("text/plain", 200, 100, {}, False),
        ("text/plain", 200, 2_000_000, {}, False),
        ("text/plain", 200, -1, {}, False),
        ("text/plain", 200, 2_000, {"Content-Encoding": "br"}, False),
        ("text/plain", 200, 2_000, {"Cache-Control": "public, No-Transform"}, False),
        ("", 200, 2_000, {}, False),
    ],
)
def test_what_is_codable(kind, status, total, more, codable):
    headers = CIMultiDict({"Content-Type": kind, **more})
    assert is_codable(headers, status=status, total=total, max_bytes=100_000) is codable


def test_coded_fields_tell_of_the_coded_bytes():
    headers = CIMultiDict({"ETag": '"1"', "Content-Length": "9", "Repr-Digest": "x", "Vary": "Origin", "X": "y"})
    fields = coded(with_vary(headers))
    assert dict(fields) == {"ETag": 'W/"1"', "Vary": "Origin, Accept-Encoding", "X": "y", "Content-Encoding": "gzip"}
    assert coded(CIMultiDict({"ETag": 'W/"1"'}))["ETag"] == 'W/"1"'
