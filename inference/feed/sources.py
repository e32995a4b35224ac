"""Candidates: each source is a function that names rows and, by its place in the list, the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from inference.feed.columns import FeedColumns
from inference.feed.item_to_item import ItemToItem
from inference.feed.layout import Records
from inference.feed.pools import Pools
from inference.feed.row_index import RowIndex
from inference.feed.viewer import ViewerState, contains

Rows = NDArray[np.int64]


class Source(IntEnum):
    """Why a video is a candidate. When several name it, the lowest number is told to the viewer."""

    FOLLOWING = 0
    TASTE = 1
    ITEM_TO_ITEM = 2
    TRENDING = 3
    INTEREST = 4
    POPULAR = 5
    FRESH = 6
    EXPLORE = 7
    RERUN = 8


Named = tuple[Source, Rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSizes:
    taste: int = 250
    item_to_item: int = 100
    following: int = 50
    trending: int = 50
    popular: int = 100
    fresh: int = 50
    whole_catalogue_below: int = 600
    """With fewer eligible videos all of them are candidates."""


Linked = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Ids (sorted) and scores that item-to-item gives a viewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """(n,) rows without repeats, their records, source, and item-to-item score (0 if unknown)."""

    rows: Rows
    records: Records
    source: NDArray[np.int8]
    item_to_item: NDArray[np.float32]

    def only(self, at: Rows) -> Candidates:
        """Those at these positions."""
        return Candidates(
            rows=self.rows[at],
            records=self.records.take(at),
            source=self.source[at],
            item_to_item=self.item_to_item[at],
        )


def candidates(columns: FeedColumns, rows: Rows, source: NDArray[np.int8], linked: Linked) -> Candidates:
    """The one gather of a list: all that follows reads these records."""
    records = columns.take(rows)
    scores = lookup(*linked, records["video_id"])
    return Candidates(rows=rows, records=records, source=source, item_to_item=scores)


def gather(
    columns: FeedColumns,
    pools: Pools,
    neighbours: ItemToItem,
    state: ViewerState,
    *,
    near: Rows | None,
    sizes: SourceSizes,
) -> Candidates:
    """Ask every source, drop what this viewer may not see, keep the first reason. `near`: what `nearest` found; None
    for a viewer without a taste."""
    linked = neighbours.scores(state.taste)
    named = [(Source.FOLLOWING, _following(columns, state, sizes.following))]
    if near is not None:
        named.append((Source.TASTE, near))
    named += [
        (Source.ITEM_TO_ITEM, _linked(columns, linked, sizes.item_to_item)),
        (Source.TRENDING, pools.trending[: sizes.trending]),
        (Source.POPULAR, pools.popular if near is not None else pools.welcome),
        (Source.FRESH, pools.fresh),
    ]
    if pools.allowed_count <= sizes.whole_catalogue_below:
        named.append((Source.POPULAR, np.flatnonzero(pools.allowed)))
    everything = near is None or pools.allowed_count <= sizes.whole_catalogue_below
    limits = {Source.TASTE: sizes.taste, Source.ITEM_TO_ITEM: sizes.item_to_item, Source.FRESH: sizes.fresh}
    if not everything:
        limits[Source.POPULAR] = sizes.popular

    def look_at(lists: list[Named]) -> _Looked:
        found = candidates(columns, *_first_reason(lists), linked)
        return found, np.flatnonzero(visible(state, found.records, allowed=pools.allow(found.rows)))

    return _chosen(look_at, state, named, limits)


_Looked = tuple[Candidates, Rows]
"""Candidates and the positions of those that may be shown."""


def _chosen(
    look_at: Callable[[list[Named]], _Looked], state: ViewerState, named: list[Named], limits: dict[Source, int]
) -> Candidates:
    """What may be shown of the named rows, each under its first reason and up to its limit.

    Of a list only the head is looked at, a quarter more than its limit; where that leaves too few for a viewer, the
    whole lists are. A row about a chosen interest has no limit, so with interests all rows are looked at.
    """
    heads = [(kind, rows[: limits[kind] * 5 // 4] if kind in limits else rows) for kind, rows in named]
    if not state.interests:
        found, shown = look_at(heads)
        counts = np.bincount(found.source[shown], minlength=len(Source))
        if all(
            len(head) == len(rows_of) or counts[kind] >= limits[kind]
            for (kind, head), (_, rows_of) in zip(heads, named, strict=True)
        ):
            return found.only(_limit(found.source, shown, limits))
    found, shown = look_at(named)
    found = _mark_interests(state, found)
    return found.only(_limit(found.source, shown, limits))


def visible(state: ViewerState, records: Records, *, allowed: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """May this viewer be shown these videos, now? Live, public or followed, not seen, not blocked, no hidden hashtag;
    and `allowed` (n,) by the shared lists or followed, if that is asked."""
    creators = records["creator_id"]
    followed = contains(state.following, creators)
    keep: NDArray[np.bool_] = records["public"] | followed
    keep &= records["alive"]
    if allowed is not None:
        keep &= followed | allowed
    keep &= ~contains(state.seen_ids, records["video_id"])
    keep &= ~contains(state.blocked, creators)
    if state.hidden_tags:
        keep &= ~about(records, state.hidden_tags)
    return keep


def about(records: Records, tags: frozenset[int]) -> NDArray[np.bool_]:
    """Which of the videos have one of the hashtags."""
    return np.asarray(np.isin(records["hashtags"], list(tags)).any(axis=1))


def nearest(
    columns: FeedColumns, index: RowIndex, pools: Pools, state: ViewerState, query: NDArray[np.float32], k: int
) -> Rows:
    """Nearest rows, at least k // 2 of them not seen yet where there are as many.

    What a viewer saw lies near the taste, so some more are asked for; of these the seen ones are left out of a second
    search that is only made for who has seen most of them. (Leaving out all that was seen would need the row of each:
    a look-up in a dictionary of a million costs as much as re-scoring a vector.)
    """
    wanted = k + min(len(state.seen_ids), k // 4)
    rows, _ = index.search(query, wanted, allowed=pools.allowed)
    seen = contains(state.seen_ids, columns.video_id[rows])
    if len(rows) < wanted or len(rows) - np.count_nonzero(seen) >= k // 2:
        return rows[~seen]
    further, _ = index.search(query, wanted, allowed=pools.allowed, without=rows[seen])
    return further


def _following(columns: FeedColumns, state: ViewerState, k: int) -> Rows:
    found: list[int] = []
    for creator in state.following[:2000]:
        found.extend(columns.rows_of_creator.get(int(creator), ())[-5:])
    rows = np.array(found, np.int64)
    return rows[np.argsort(-columns.published_s[rows], kind="stable")][:k]


def _linked(columns: FeedColumns, linked: Linked, k: int) -> Rows:
    ids, scores = linked
    if not len(ids):
        return np.zeros(0, np.int64)
    top = np.argsort(-scores, kind="stable")[: 2 * k]
    return columns.rows(ids[top])


def lookup(ids: NDArray[np.int64], scores: NDArray[np.float32], wanted: NDArray[np.int64]) -> NDArray[np.float32]:
    """(k,) score of each wanted id, 0 if unknown; `ids` sorted."""
    if not len(ids):
        return np.zeros(len(wanted), np.float32)
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[at] == wanted, scores[at], 0.0).astype(np.float32)


def _first_reason(named: list[Named]) -> tuple[Rows, NDArray[np.int8]]:
    rows = np.concatenate([rows for _, rows in named])
    source = np.repeat(np.array([kind for kind, _ in named], np.int8), [len(rows) for _, rows in named])
    order = rows.argsort(kind="stable")
    ascending = rows[order]
    new = np.ones(len(rows), bool)
    np.not_equal(ascending[1:], ascending[:-1], out=new[1:])
    first = np.sort(order[new])
    return rows[first], source[first]


def _mark_interests(state: ViewerState, found: Candidates) -> Candidates:
    """A popular or new video about a chosen interest is told as such."""
    if not state.interests or not len(found.rows):
        return found
    told = about(found.records, state.interests) & (found.source >= Source.POPULAR)
    return replace(found, source=np.where(told, np.int8(Source.INTEREST), found.source))


def _limit(source: NDArray[np.int8], shown: Rows, limits: dict[Source, int]) -> Rows:
    """Of each source the first of the positions `shown`, up to its limit: counted after filtering, so that a viewer
    who saw a lot still gets all sources."""
    kinds = source[shown]
    keep = np.ones(len(shown), bool)
    for kind, limit in limits.items():
        keep[np.flatnonzero(kinds == kind)[limit:]] = False
    return shown[keep]
