"""Conditional requests in both directions and what a 304 renews (RFC 9111 section 4.3, RFC 9110 section 13)."""

from __future__ import annotations

import pytest

from edge.delivery.lab.scripted_origin import Asked, Reply, http_date

NOW = 1_790_000_000.0


async def test_a_stale_copy_is_validated_and_renewed_by_304(edge):
    def script(asked: Asked) -> Reply:
        if asked.headers.get("If-None-Match") == '"1"':
            news = {
                "ETag": '"1"',
                "Cache-Control": "max-age=50",
                "X-New": "2",
                "Content-Type": "wrong/one",
                "X-Keep": "b",
            }
            return Reply(status=304, reason="NM", headers=news)
        old = {"ETag": '"1"', "Cache-Control": "max-age=5", "X-Keep": "a", "X-Old": "1", "Content-Type": "text/plain"}
        return Reply(headers=old, body=b"body")

    edge.origin.script = script
    await edge.get("/a")
    edge.clock.advance(6)
    renewed = await edge.get("/a")
    assert (renewed.status, renewed.body) == (200, b"body")
    assert "fwd=stale; fwd-status=304" in renewed.headers["Cache-Status"]
    edge.clock.advance(40)
    again = await edge.get("/a")
    for got in (renewed, again):
        fields = [got.headers.get(name) for name in ("X-New", "X-Keep", "X-Old", "Content-Type")]
        assert fields == ["2", "b", "1", "text/plain"]
        assert got.headers["Content-Length"] == "4"
    assert len(edge.origin.asked) == 2


async def test_both_validators_and_the_variants_fields_are_sent(edge):
    headers = {"ETag": '"1"', "Last-Modified": http_date(NOW - 9), "Cache-Control": "max-age=1", "Vary": "X-Kind"}
    edge.origin.script = lambda asked: Reply(headers=headers, body=b"x")
    await edge.get("/a", x_kind="k")
    edge.clock.advance(5)
    await edge.get("/a", x_kind="k")
    asked = edge.origin.asked[1]
    assert asked.headers["If-None-Match"] == '"1"'
    assert asked.headers["If-Modified-Since"] == headers["Last-Modified"]
    assert asked.headers["X-Kind"] == "k"


async def test_a_200_to_a_validation_replaces_the_copy(edge):
    bodies = iter([b"one", b"two"])
    edge.origin.script = lambda asked: Reply(headers={"ETag": '"x"', "Cache-Control": "max-age=1"}, body=next(bodies))
    await edge.get("/a")
    edge.clock.advance(5)
    assert (await edge.get("/a")).body == b"two"
    assert (await edge.get("/a")).body == b"two"


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ({"if_none_match": '"1"'}, 304),
        ({"if_none_match": 'W/"1"'}, 304),
        ({"if_none_match": '"0", "1"'}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_none_match": '"2"'}, 200),
        ({"if_modified_since": http_date(NOW - 100)}, 304),
        ({"if_modified_since": http_date(NOW)}, 304),
        ({"if_modified_since": http_date(NOW - 101)}, 200),
        ({"if_modified_since": "yesterday"}, 200),
        ({"if_none_match": '"2"', "if_modified_since": http_date(NOW)}, 200),
        ({"if_none_match": '"1"', "range": "bytes=0-1"}, 304),
    ],
)
async def test_conditions_of_the_client_are_answered_from_the_store(edge, condition, status):
    headers = {"ETag": '"1"', "Last-Modified": http_date(NOW - 100), "Cache-Control": "max-age=100", "X-A": "1"}
    edge.origin.script = lambda asked: Reply(headers=headers, body=b"body")
    await edge.get("/a")
    got = await edge.get("/a", **condition)
    assert got.status == status
    assert got.headers["ETag"] == '"1"'
    assert len(edge.origin.asked) == 1
    if status == 304:
        assert "Content-Length" not in got.headers
        assert {"Age", "Cache-Status", "Cache-Control", "Date"} <= set(got.headers)


async def test_a_miss_with_a_condition_fetches_the_whole_and_answers_304(edge):
    edge.origin.script = lambda asked: Reply(headers={"ETag": '"1"', "Cache-Control": "max-age=100"}, body=b"body")
    assert (await edge.get("/a", if_none_match='"1"')).status == 304
    assert (await edge.get("/a")).body == b"body"
    assert len(edge.origin.asked) == 1


@pytest.mark.parametrize(
    ("if_range", "status"),
    [
        ('"1"', 206),
        ('W/"1"', 200),
        ('"2"', 200),
        (http_date(NOW - 100), 206),
        (http_date(NOW - 99), 200),
        ("nonsense", 200),
    ],
)
async def test_if_range_needs_a_strong_match(edge, if_range, status):
    headers = {
        "ETag": '"1"',
        "Last-Modified": http_date(NOW - 100),
        "Cache-Control": "max-age=100",
        "Date": http_date(NOW),
    }
    edge.origin.script = lambda asked: Reply(headers=headers, body=b"0123456789")
    await edge.get("/a")
    got = await edge.get("/a", range="bytes=2-3", if_range=if_range)
    assert got.status == status
    assert got.body == (b"23" if status == 206 else b"0123456789")


async def test_head_is_answered_from_a_stored_get_and_is_not_stored_itself(edge):
    edge.origin.script = lambda asked: Reply(headers={"ETag": '"1"', "Cache-Control": "max-age=9"}, body=b"0123456789")
    head = await edge.get("/a", method="HEAD")
    assert (head.status, head.headers["Content-Length"]) == (200, "10")
    await edge.get("/a")
    again = await edge.get("/a", method="HEAD")
    assert [asked.method for asked in edge.origin.asked] == ["HEAD", "GET"]
    assert again.headers["Content-Length"] == "10"


async def test_a_304_about_another_etag_confirms_nothing(edge):
    edge.origin.script = lambda asked: Reply(headers={"ETag": '"1"', "Cache-Control": "max-age=1"}, body=b"one")
    await edge.get("/a")

    def script(asked: Asked) -> Reply:
        if "If-None-Match" in asked.headers:
            return Reply(status=304, reason="NM", headers={"ETag": '"2"'})
        return Reply(headers={"ETag": '"2"', "Cache-Control": "max-age=9"}, body=b"two")

    edge.origin.script = script
    edge.clock.advance(5)
    got = await edge.get("/a")
    assert (got.headers["ETag"], got.body) == ('"2"', b"two")
