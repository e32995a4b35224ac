"""RFC 9213: CDN-Cache-Control is a structured Dictionary; a valid one decides alone, any other is as if absent."""

from __future__ import annotations

import pytest

from edge.delivery.lab.scripted_origin import Reply, http_date

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("targeted", "plain", "reused"),
    [
        ("max-age=10", "max-age=0", True),
        ("max-age=0", "max-age=10", False),
        ("max-age=10", "no-store", True),
        ("no-store", "max-age=10", False),
        ("private", "max-age=10", False),
        ("no-cache, max-age=10", "max-age=10", False),
        ("public", "max-age=10", False),
        ('max-age="10"', "max-age=10", True),
        ('max-age="10"', "no-store", False),
        ("&&&", "max-age=10", True),
        ("", "max-age=10", True),
        ("max-age=10, no-store=?0", "no-store", True),
        ("max-age=1.5", "no-store", False),
        ("MAX-AGE=10", "no-store", False),
    ],
)
async def test_the_targeted_field_decides(edge, targeted, plain, reused):
    headers = {"CDN-Cache-Control": targeted, "Cache-Control": plain}
    edge.origin.script = lambda asked: Reply(headers=headers, body=b"x")
    first = await edge.get("/a")
    assert first.headers["CDN-Cache-Control"] == targeted
    edge.clock.advance(1)
    await edge.get("/a")
    assert (len(edge.origin.asked) == 1) is reused


async def test_our_own_field_comes_first_and_expires_is_ignored(edge):
    headers = {
        "Edge-Cache-Control": "max-age=0",
        "CDN-Cache-Control": "max-age=10",
        "Expires": http_date(NOW + 1000),
    }
    edge.origin.script = lambda asked: Reply(headers=headers, body=b"x")
    await edge.get("/a")
    await edge.get("/a")
    assert len(edge.origin.asked) == 2
