"""Path tokens: one token opens its prefix in both lanes, nothing else does, and objects marked signed need one."""

from __future__ import annotations

import pytest

from edge.delivery.lab.scripted_origin import Reply
from foundation.settings import Secret
from foundation.tokens.media import sign

NOW = 1_790_000_000
KEYS = {"new": b"key two", "old": b"key one"}


@pytest.fixture
async def signed_edge(open_edge):
    edge = await open_edge(media_keys={kid: Secret(key.decode()) for kid, key in KEYS.items()}, path_prefix="/videos/")
    edge.origin.script = lambda asked: Reply(
        headers={"Cache-Control": "max-age=9000", "Edge-Access": "signed"}, body=asked.target.encode()
    )
    return edge


def token(prefix="/videos/us/7/", *, expires_s=NOW + 100, kid="new", keys=KEYS) -> str:
    return sign(prefix, expires_s=expires_s, kid=kid, keys=keys)


@pytest.mark.parametrize("kid", ["new", "old"])
async def test_a_token_opens_its_prefix_and_is_no_part_of_the_key(signed_edge, kid):
    for lane in range(3):
        got = await signed_edge.get(f"/t/{token(kid=kid)}/videos/us/7/a.mp4", range="bytes=0-4")
        assert (got.status, got.body) == (206, b"/vide"), lane
    assert [asked.target for asked in signed_edge.origin.asked] == ["/videos/us/7/a.mp4"]
    assert signed_edge.delivery.tally.fast.hits == 2
    assert "Edge-Access" not in got.headers


async def test_bad_tokens_are_refused_even_for_what_is_cached(signed_edge):
    good = token()
    await signed_edge.get(f"/t/{good}/videos/us/7/a.mp4")
    forged = good[:-1] + ("A" if good[-1] != "A" else "B")
    other = token("/videos/us/8/")
    late = token(expires_s=NOW - 100)
    unknown = token(kid="x", keys={"x": b"?"})
    for bad in (forged, other, late, unknown, "x", "a.b.c.d", ""):
        assert (await signed_edge.get(f"/t/{bad}/videos/us/7/a.mp4")).status == 403
    assert (await signed_edge.get(f"/t/{good}/videos/us/8/a.mp4")).status == 403
    assert (await signed_edge.get("/videos/us/7/a.mp4")).status == 403


async def test_a_token_ends_in_the_fast_lane_too(signed_edge):
    path = f"/t/{token()}/videos/us/7/a.mp4"
    for _ in range(3):
        assert (await signed_edge.get(path)).status == 200
    signed_edge.clock.advance(200)
    assert (await signed_edge.get(path)).status == 403


async def test_unmarked_objects_are_open_unless_tokens_are_required(open_edge):
    for required, status in ((False, 200), (True, 403)):
        edge = await open_edge(media_keys={"new": Secret("key two")}, require_token=required)
        edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=9"}, body=b"x")
        for _ in range(2):
            assert (await edge.get("/videos/us/7/a.mp4")).status == status


async def test_one_stored_object_serves_many_tokens(signed_edge):
    for expires_s in range(NOW + 10, NOW + 20):
        got = await signed_edge.get(f"/t/{token(expires_s=expires_s)}/videos/us/7/a.mp4")
        assert got.status == 200
    assert len(signed_edge.origin.asked) == 1
    assert signed_edge.delivery.tally.fast.hits == 9  # a token never seen before needs no slow lane


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ({}, 200),
        ({"referer": "https://app.test/feed"}, 200),
        ({"origin": "https://app.test"}, 200),
        ({"referer": "https://a.b.friend.test/x"}, 200),
        ({"referer": "https://friend.test/x"}, 403),
        ({"referer": "https://evil.test/app.test"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://app.test", "referer": "https://evil.test/"}, 403),
        ({"referer": "http://[bad"}, 403),
    ],
)
async def test_other_sites_may_not_embed_in_either_lane(open_edge, source, status):
    edge = await open_edge(embedding_hosts=("app.test", ".friend.test"))
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=9"}, body=b"x")
    assert (await edge.get("/v.mp4", **source)).status == status
    await edge.get("/v.mp4")
    assert (await edge.get("/v.mp4", **source)).status == status
