"""The replay of real interactions: each list is made of the past alone, whoever makes it."""

from __future__ import annotations

import numpy as np
import pytest

from bench.replay import Contest, contestants
from inference.training.replay import LIKED, NEUTRAL, SKIPPED, Interactions, Predictor

VIEWERS, ITEMS, EVENTS = 30, 40, 500
SPLIT = (0.6, 1.0)
DAY_S = 86_400
NAMES = (
    "popularity, all time",
    "popularity, half-life 7 days",
    "first version on iALS",
    "BPR d=64",
    "itemKNN",
    "iALS d=256 fold-in",
    "EASE",
    "ours without a learned space",
    "ours, not retrained",
    "ours, retrained",
)


def log() -> Interactions:
    """Two events of a viewer every fifth of a day, half of them liked."""
    rng = np.random.default_rng(1)
    viewer, item = np.repeat(rng.integers(VIEWERS, size=EVENTS // 2), 2), rng.permutation(np.arange(EVENTS) % ITEMS)
    verdict = np.where((item + viewer) % 2, LIKED, rng.choice([NEUTRAL, SKIPPED], size=EVENTS)).astype(np.int8)
    return Interactions(
        viewer=viewer, item=item, at_s=1_000_000_000 + np.arange(EVENTS) // 2 * (DAY_S // 5), verdict=verdict
    )


def with_another_end(events: Interactions, start: int) -> Interactions:
    """Other items and verdicts, at the same times, from a position on."""
    item, verdict = events.item.copy(), events.verdict.copy()
    item[start:] = (item[start:] * 7 + 3) % ITEMS
    verdict[start:] = -verdict[start:]
    return Interactions(viewer=events.viewer, item=item, at_s=events.at_s, verdict=verdict)


class Noted:
    """A predictor and what it answered, by moment and viewer."""

    def __init__(self, inner: Predictor) -> None:
        self._inner = inner
        self.lists: dict[tuple[float, int], list[int]] = {}

    def top(self, viewer: int, k: int, *, now_s: float) -> list[int]:
        found = self.lists[now_s, viewer] = self._inner.top(viewer, k, now_s=now_s)
        return found

    def learn(self, viewer: int, item: int, verdict: int, *, now_s: float) -> None:
        self._inner.learn(viewer, item, verdict, now_s=now_s)


def lists(events: Interactions, name: str) -> dict[tuple[float, int], list[int]]:
    contest = Contest(events, split=SPLIT)
    noted = Noted(contestants(contest)[name]())
    contest.run(noted)
    return noted.lists


@pytest.mark.parametrize("name", NAMES)
def test_another_future_changes_no_list_before_it(name: str) -> None:
    """What begins to differ is the second of two events in one second: even that one is not seen too early. After it
    the lists do differ, so the test would notice."""
    events = log()
    start = next(n for n in range(401, EVENTS, 2) if events.verdict[n - 1] == LIKED)
    begins_s, viewer = float(events.at_s[start]), int(events.viewer[start])
    found, other = lists(events, name), lists(with_another_end(events, start), name)
    before = [when for when in found if when[0] <= begins_s]
    assert (begins_s, viewer) in before
    assert [found[when] for when in before] == [other[when] for when in before]
    assert any(found[when] != other[when] for when in found.keys() & other.keys() if when[0] > begins_s)


def test_every_contestant_is_looked_at_but_those_that_need_more_packages() -> None:
    needs_more = {"first version on content", "SASRec, full softmax"}
    assert set(contestants(Contest(log(), split=SPLIT))) == {*NAMES} | needs_more
