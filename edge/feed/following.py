"""The following feed: strictly newest first, with a keyset cursor."""

from __future__ import annotations

import base64
import binascii

import numpy as np

from edge.feed.errors import BadCursor
from edge.feed.ports import Relations
from edge.feed.viewer_store import Preferences
from inference.feed.columns import FeedColumns
from inference.feed.recommender import Pick
from inference.feed.sources import Source


def following_page(
    columns: FeedColumns, relations: Relations, prefs: Preferences, *, count: int, cursor: str | None
) -> tuple[tuple[Pick, ...], str]:
    """Up to `count` videos older than the cursor, and the cursor behind the last of them. Raises BadCursor."""
    hidden = {*relations.blocked, *prefs.hidden_creators}
    found: list[int] = []
    for creator in relations.following:
        if creator not in hidden:
            found.extend(columns.rows_of_creator.get(creator, ()))
    rows = np.array(found, np.int64)
    rows = rows[columns.alive[rows]]
    keys = list(zip((-columns.published_s[rows]).tolist(), (-columns.video_id[rows]).tolist(), strict=True))
    keys.sort()
    if cursor:
        behind = _read(cursor)
        keys = [key for key in keys if key > behind]
    page = keys[:count]
    picks = tuple(Pick(video_id=-video_id, source=Source.FOLLOWING, score=0.0) for _, video_id in page)
    return picks, _make(page[-1]) if page else (cursor or _make((-float(1 << 52), 0)))


def _make(key: tuple[float, int]) -> str:
    return base64.urlsafe_b64encode(f"f.{key[0]!r}.{key[1]}".replace(".", "_", 1).encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[float, int]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        kind, _, rest = text.partition("_")
        seconds, _, video_id = rest.rpartition(".")
        if kind != "f" or len(cursor) > 96:
            raise ValueError(text)
        return float(seconds), int(video_id)
    except (binascii.Error, ValueError) as err:
        raise BadCursor("start the following feed again without a cursor") from err
