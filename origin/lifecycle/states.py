"""States of a video and which follow which. Pure; the compare-and-sets in video_store.py carry them out.

created -> uploaded -> processing -> ready
                           |-> review | blocked | failed        any -> deleted (for good)
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never


class VideoState(StrEnum):
    CREATED = "created"
    UPLOADED = "uploaded"
    PROCESSING = "processing"
    READY = "ready"
    REVIEW = "review"
    BLOCKED = "blocked"
    FAILED = "failed"
    DELETED = "deleted"


class Visibility(StrEnum):
    PUBLIC = "public"
    UNLISTED = "unlisted"
    FOLLOWERS = "followers"
    PRIVATE = "private"


def may_become(state: VideoState) -> frozenset[VideoState]:
    """States that may follow `state`."""
    match state:
        case VideoState.CREATED:
            return frozenset({VideoState.UPLOADED, VideoState.FAILED, VideoState.DELETED})
        case VideoState.UPLOADED:
            return frozenset({VideoState.PROCESSING, VideoState.FAILED, VideoState.DELETED})
        case VideoState.PROCESSING:
            return frozenset(
                {VideoState.READY, VideoState.REVIEW, VideoState.BLOCKED, VideoState.FAILED, VideoState.DELETED}
            )
        case VideoState.READY | VideoState.REVIEW:
            return frozenset({VideoState.READY, VideoState.REVIEW, VideoState.BLOCKED, VideoState.DELETED})
        case VideoState.BLOCKED:
            return frozenset({VideoState.READY, VideoState.DELETED})
        case VideoState.FAILED:
            return frozenset({VideoState.PROCESSING, VideoState.DELETED})
        case VideoState.DELETED:
            return frozenset()
        case _:
            assert_never(state)


def before(state: VideoState) -> tuple[str, ...]:
    """States from which `state` may be reached: the left side of a compare-and-set."""
    return tuple(str(source) for source in VideoState if state in may_become(source))


def listed(visibility: Visibility) -> bool:
    """Whether PoPs may recommend a video of this visibility (followers-only ones to followers)."""
    return visibility in (Visibility.PUBLIC, Visibility.FOLLOWERS)


def is_open(visibility: Visibility) -> bool:
    """Whether its media need no token."""
    return visibility in (Visibility.PUBLIC, Visibility.UNLISTED)


def narrowed(visibility: Visibility, *, account_private: bool) -> Visibility:
    """What a private (or teen) account can offer at most: its followers."""
    return Visibility.FOLLOWERS if account_private and visibility is Visibility.PUBLIC else visibility
