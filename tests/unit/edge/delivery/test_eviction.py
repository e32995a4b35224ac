"""The policies: never over capacity, honest about victims, and better than LRU where they claim to be."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery.eviction.gdsf import Gdsf
from edge.delivery.eviction.lru import Lru
from edge.delivery.eviction.s3_fifo import S3Fifo
from edge.delivery.simulation.belady import replay_belady
from edge.delivery.simulation.replay import POLICIES, replay
from edge.delivery.simulation.trace import distinct_bytes, read_trace, short_video_trace, write_trace

USES = list(short_video_trace(requests=15_000, videos=1_500))


@pytest.mark.parametrize("make", [Lru, S3Fifo, Gdsf])
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=300))
@settings(max_examples=60, deadline=None)
def test_what_is_held_is_what_was_inserted_less_the_victims(make, steps):
    policy = make(1000)
    held = {}
    for key, remove in steps:
        if key in held:
            entry = held[key]
            if remove:
                policy.remove(held.pop(key))
            else:
                entry.hits += 1
        else:
            size = 20 + key * 7
            entry, victims = policy.insert(key, size)
            held[key] = entry
            for victim in victims:
                assert held.pop(victim.key) is victim
        assert len(policy) == len(held)
        assert policy.used == sum(entry.size for entry in held.values()) <= policy.capacity


def test_s3_fifo_lets_one_hit_wonders_pass_and_remembers_the_gone():
    policy = S3Fifo(100)
    popular, _ = policy.insert("popular", 10)
    popular.hits += 1
    gone = []
    for number in range(50):
        _, victims = policy.insert(f"once-{number}", 10)
        gone += [victim.key for victim in victims]
    assert "popular" not in gone
    returned, _ = policy.insert(gone[-1], 10)
    assert returned.mark == "main"


def test_gdsf_keeps_the_small_and_used():
    policy = Gdsf(1000)
    for number in range(10):
        entry, _ = policy.insert(f"small-{number}", 10)
        entry.hits += 1
    _, victims = policy.insert("big", 900)
    assert victims == []
    _, victims = policy.insert("bigger", 880)
    assert [victim.key for victim in victims] == ["big"]


def test_removed_entries_do_not_pile_up_in_the_heap():
    policy = Gdsf(1_000_000)
    for number in range(10_000):
        entry, _ = policy.insert(number, 10)
        policy.remove(entry)
    assert len(policy._heap) < 200


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_the_edges_policy_beats_lru_on_objects_bytes_and_prefixes(share):
    capacity = int(distinct_bytes(USES) * share)
    lru, ours = replay(USES, POLICIES["lru"](capacity)), replay(USES, POLICIES["edge"](capacity))
    assert ours.object_miss_ratio < lru.object_miss_ratio
    assert ours.byte_miss_ratio < lru.byte_miss_ratio
    assert ours.prefix_miss_ratio < lru.prefix_miss_ratio


def test_nobody_beats_the_one_who_knows_the_future_by_bytes():
    capacity = int(distinct_bytes(USES) * 0.05)
    bound = replay_belady(USES, capacity).byte_miss_ratio
    for make in POLICIES.values():
        assert replay(USES, make(capacity)).byte_miss_ratio >= bound


def test_a_trace_survives_the_file(tmp_path):
    uses = random.Random(1).sample(USES, 500)
    assert write_trace(tmp_path / "t.csv.gz", uses) == 500
    back = list(read_trace(tmp_path / "t.csv.gz"))
    assert [(use.key, use.size) for use in back] == [(use.key, use.size) for use in uses]
