"""Ids spread evenly; a map has every shard exactly once."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import SettingsError
from foundation.ids import Snowflake
from foundation.settings import Secret
from foundation.stores.shard_map import Family, PostgresServer, map_of, parse_ranges, shard_of


def server(name: str, videos: str = "", users: str = "") -> PostgresServer:
    return PostgresServer(name=name, dsn=Secret("x"), videos=videos, users=users)


def test_snowflakes_spread_over_all_shards_although_their_low_bits_are_equal() -> None:
    clock = iter(range(10**12, 10**12 + 64_000))
    ids = Snowflake(node=1, clock_ms=lambda: next(clock))
    counts = Counter(shard_of(Family.VIDEO, ids.next_id()) for _ in range(64_000))
    assert len(counts) == 64
    assert 800 < min(counts.values()) < max(counts.values()) < 1200


@pytest.mark.parametrize(("snowflake", "video", "user"), [(1, 51, 19), (2**62, 39, 7), (250496247981412352, 33, 1)])
def test_the_hash_never_changes_because_rows_hold_its_result(snowflake: int, video: int, user: int) -> None:
    assert (shard_of(Family.VIDEO, snowflake), shard_of(Family.USER, snowflake)) == (video, user)


def test_one_server_without_ranges_holds_everything() -> None:
    shard_map = map_of([server("only")])
    assert shard_map.servers(Family.VIDEO) == shard_map.servers(Family.USER) == ("only",)


def test_moves_lie_over_the_settings() -> None:
    shard_map = map_of([server("a", "0-63", "0-31"), server("b")]).with_moves({(Family.VIDEO, 5): "b"})
    assert shard_map.server(Family.VIDEO, 5) == "b"
    assert shard_map.shards_on(Family.VIDEO, "b") == (5,)
    assert shard_map.server(Family.USER, 5) == "a"


@pytest.mark.parametrize(
    ("servers", "complaint"),
    [
        ([], "at least one server"),
        ([server("a", "0-31", "0-31"), server("b", "32-62")], "assigned to no server"),
        ([server("a", "0-40", "0-31"), server("b", "40-63")], "assigned to a and b"),
        ([server("a", "0-63", "0-31"), server("a")], "must differ"),
        ([server("a", "0-64", "0-31")], "outside 0-63"),
        ([server("a", "zero", "0-31")], "write numbers"),
    ],
)
def test_a_map_with_gaps_or_overlaps_does_not_start(servers: list[PostgresServer], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        map_of(servers)


@given(st.sets(st.integers(0, 63), min_size=1))
def test_ranges_read_back_what_was_written(shards: set[int]) -> None:
    assert set(parse_ranges(",".join(map(str, shards)), size=64)) == shards
