"""RFC 9111 section 4.2: what is fresh, for how long, and how old it says it is."""

from __future__ import annotations

import pytest

from edge.delivery.lab.scripted_origin import Reply, http_date

NOW = 1_790_000_000.0


async def is_reused(edge, *, after: float = 1.0, status: int = 200, **headers) -> bool:
    """Whether a second request, `after` seconds later, is answered without the origin."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    edge.origin.script = lambda asked: Reply(status=status, reason="Any", headers=fields, body=b"body")
    await edge.get("/a")
    edge.clock.advance(after)
    seen = len(edge.origin.asked)
    got = await edge.get("/a")
    assert got.status == status
    return len(edge.origin.asked) == seen


@pytest.mark.parametrize(
    ("cache_control", "after", "reused"),
    [
        ("max-age=10", 5, True),
        ("max-age=10", 11, False),
        ("MAX-AGE=10", 5, True),
        ("max-age=0010", 5, True),
        ("max-age=99999999999999", 5, True),
        ("max-age=-1", 0, False),
        ("max-age=10.5", 5, False),
        ("max-age='10'", 5, False),
        ("max-age=1 0", 5, False),
        ("max-age", 5, False),
        ('x="max-age=10"', 5, False),
        ("foo=bar, max-age=10", 5, True),
        ("max-age=1, s-maxage=10", 5, True),
        ("s-maxage=1, max-age=10", 5, False),
        ("max-age=1, max-age=10", 5, False),
        ("max-age=10, no-cache", 1, False),
        ("max-age=10, no-store", 1, False),
        ("max-age=10, private", 1, False),
        ('max-age=10, private="x-a"', 1, False),
        ("public", 1, False),
        ("", 1, False),
    ],
)
async def test_cache_control_decides(edge, cache_control, after, reused):
    assert await is_reused(edge, after=after, Cache_Control=cache_control) is reused


async def test_directives_of_several_lines_are_merged(edge):
    assert not await is_reused(edge, Cache_Control=["max-age=10", "no-store"])


async def test_nothing_explicit_means_not_reused(edge):
    assert not await is_reused(edge)


@pytest.mark.parametrize(
    ("age", "reused"),
    [
        ("90", True),
        ("100", False),
        ("0, 100", True),
        ("100, 0", False),
        ("7.5", True),
        ("-7", True),
        ("abc", True),
        ("99999999999", False),
    ],
)
async def test_the_origins_age_counts(edge, age, reused):
    assert await is_reused(edge, Cache_Control="max-age=100", Age=age) is reused


@pytest.mark.parametrize(
    ("expires", "reused"),
    [
        (http_date(NOW + 100), True),
        (http_date(NOW - 100), False),
        ("0", False),
        (http_date(NOW + 100).replace("GMT", "UTC"), False),
        (http_date(NOW + 100).replace(",", ""), False),
        (http_date(NOW + 100).replace(" ", "  "), False),
        (http_date(NOW + 100).replace(":", "."), False),
        (http_date(NOW + 100).lower(), True),
        (http_date(NOW + 100).replace("2026", "26"), False),
    ],
)
async def test_expires_is_read_strictly(edge, expires, reused):
    assert await is_reused(edge, Expires=expires, Date=http_date(NOW)) is reused


async def test_several_expires_lines_mean_stale(edge):
    late = http_date(NOW + 100)
    assert not await is_reused(edge, Expires=[late, late])


async def test_max_age_beats_expires(edge):
    assert await is_reused(edge, Expires=http_date(NOW - 100), Cache_Control="max-age=10")
    edge.clock.advance(3600)
    assert not await is_reused(edge, Expires=http_date(NOW + 9999), Cache_Control="max-age=0")


async def test_a_tenth_of_the_time_since_last_modified(edge):
    modified = http_date(NOW - 1000)
    assert await is_reused(edge, after=50, Last_Modified=modified, Date=http_date(NOW))
    edge.clock.now_s = NOW
    edge.delivery.store.index.set("/a", ())
    assert not await is_reused(edge, after=101, Last_Modified=modified, Date=http_date(NOW))


async def test_heuristics_only_where_allowed(edge):
    assert not await is_reused(edge, status=500, Last_Modified=http_date(NOW - 10_000))


@pytest.mark.parametrize("status", [200, 203, 204, 299, 301, 302, 307, 400, 404, 410, 451, 499, 500, 503, 599, 999])
async def test_any_final_status_is_cached_when_fresh(edge, status):
    assert await is_reused(edge, status=status, Cache_Control="max-age=10")


async def test_age_is_sent_always_and_grows_in_both_lanes(edge):
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=100", "Age": "7"}, body=b"x")
    assert (await edge.get("/a")).headers["Age"] == "7"
    edge.clock.advance(3)
    assert (await edge.get("/a")).headers["Age"] == "10"
    edge.clock.advance(5)
    assert (await edge.get("/a", cache_control="max-stale")).headers["Age"] == "15"


async def test_an_old_date_counts_as_age(edge):
    edge.origin.script = lambda asked: Reply(
        headers={"Cache-Control": "max-age=100", "Date": http_date(NOW - 60)}, body=b"x"
    )
    assert (await edge.get("/a")).headers["Age"] == "60"
    edge.clock.advance(41)
    seen = len(edge.origin.asked)
    await edge.get("/a")
    assert len(edge.origin.asked) == seen + 1


async def test_a_missing_date_is_added_and_a_given_one_kept(edge):
    edge.origin.script = lambda asked: Reply(headers={"Cache-Control": "max-age=100"}, body=b"x")
    assert (await edge.get("/a")).headers["Date"] == http_date(NOW)
    edge.origin.script = lambda asked: Reply(
        headers={"Cache-Control": "max-age=9", "Date": http_date(NOW - 5)}, body=b"x"
    )
    await edge.get("/b")
    assert (await edge.get("/b")).headers["Date"] == http_date(NOW - 5)


async def test_a_404_without_freshness_is_remembered_for_a_moment_only(edge):
    assert await is_reused(edge, status=404, after=1)
    edge.clock.advance(10)
    assert not await is_reused(edge, status=404, after=3)


async def test_must_understand_stores_known_statuses_despite_no_store(edge):
    assert await is_reused(edge, Cache_Control="max-age=10, no-store, must-understand")
    edge.clock.advance(100)
    assert not await is_reused(edge, status=299, Cache_Control="max-age=10, no-store, must-understand")
