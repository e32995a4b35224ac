"""What a PoP and its list process say to each other: msgpack behind a length, over a pair of sockets."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.feed.lists.maker import CommonLists, MakerPolicy
from inference.experiments import Experiment
from inference.feed.followed_columns import Extent
from inference.feed.recommender import Pick
from inference.feed.taste import DIMENSIONS, SUMS, Taste
from inference.feed.viewer import ViewerState


class Start(msgspec.Struct, frozen=True, array_like=True):
    """The first frame: what the process works on."""

    space: str
    files: dict[str, int]
    """Descriptors of the columns' arrays."""
    extent: Extent
    policy: MakerPolicy
    model_dir: Path | None
    now_s: float


class SentViewer(msgspec.Struct, frozen=True, array_like=True):
    """A ViewerState; arrays as bytes."""

    space: str
    sums: bytes
    events: int
    likes: int
    mean_quantile: float
    skip_share: float
    recent_ids: bytes
    recent_weights: bytes
    creators: dict[int, float]
    updated_s: float
    seen_ids: bytes
    following: bytes
    blocked: bytes
    hidden_tags: frozenset[int]
    interests: frozenset[int]
    region: int
    shown_ids: tuple[int, ...]
    hour: float


class Recommend(msgspec.Struct, frozen=True, array_like=True, tag=True):
    viewer: SentViewer
    arm: str
    generation: int
    count: int
    now_s: float


class Rerank(msgspec.Struct, frozen=True, array_like=True, tag=True):
    viewer: SentViewer
    tail: tuple[Pick, ...]
    arm: str
    generation: int
    now_s: float


class Rerun(msgspec.Struct, frozen=True, array_like=True, tag=True):
    viewer: SentViewer
    count: int
    oldest_first: list[int]
    now_s: float


class Prepare(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Load an arm table by the names of its releases."""

    generation: int
    releases: dict[str, str]
    experiment: Experiment | None


class Keep(msgspec.Struct, frozen=True, array_like=True, tag=True):
    generation: int


class Refresh(msgspec.Struct, frozen=True, array_like=True, tag=True):
    now_s: float


Question = Recommend | Rerank | Rerun | Prepare | Keep | Refresh


class Made(msgspec.Struct, frozen=True, array_like=True, tag=True):
    picks: tuple[Pick, ...]
    degraded: bool
    candidates: int


class Seen(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Of a rerun: ids."""

    video_ids: list[int]


class Common(msgspec.Struct, frozen=True, array_like=True, tag=True):
    lists: CommonLists


class Done(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """`code` and `detail` of a ModelError, or "internal" (the process has logged why)."""

    code: str
    detail: str


Reply = Made | Seen | Common | Done | Failed


class Asked(msgspec.Struct, frozen=True, array_like=True):
    number: int
    extent: Extent
    """How far the columns reach now."""
    question: Question


class Answered(msgspec.Struct, frozen=True, array_like=True):
    number: int
    reply: Reply


_LENGTH = struct.Struct("<I")


def _path(kind: type, value: object) -> object:
    return Path(str(value)) if kind is Path else value


def _text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not sent to a list process")


_encoder = msgspec.msgpack.Encoder(enc_hook=_text)
start_decoder = msgspec.msgpack.Decoder(Start, dec_hook=_path)
asked_decoder = msgspec.msgpack.Decoder(Asked)
answered_decoder = msgspec.msgpack.Decoder(Answered)


def frame(message: Start | Asked | Answered) -> bytes:
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Bytes as they come -> whole messages."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._waiting += data
        start = 0
        while len(self._waiting) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._waiting, start)
            end = start + _LENGTH.size + length
            if end > len(self._waiting):
                break
            yield bytes(self._waiting[start + _LENGTH.size : end])
            start = end
        del self._waiting[:start]


def sent(state: ViewerState) -> SentViewer:
    """About 10 us."""
    taste = state.taste
    return SentViewer(
        taste.space,
        taste.sums.tobytes(),
        taste.events,
        taste.likes,
        taste.mean_quantile,
        taste.skip_share,
        taste.recent_ids.tobytes(),
        taste.recent_weights.tobytes(),
        taste.creators,
        taste.updated_s,
        state.seen_ids.tobytes(),
        state.following.tobytes(),
        state.blocked.tobytes(),
        state.hidden_tags,
        state.interests,
        state.region,
        state.shown_ids,
        state.hour,
    )


def received(viewer: SentViewer) -> ViewerState:
    """The state, with read-only arrays. About 10 us."""
    taste = Taste(
        space=viewer.space,
        sums=np.frombuffer(viewer.sums, np.float32).reshape(SUMS, DIMENSIONS),
        events=viewer.events,
        likes=viewer.likes,
        mean_quantile=viewer.mean_quantile,
        skip_share=viewer.skip_share,
        recent_ids=_ids(viewer.recent_ids),
        recent_weights=np.frombuffer(viewer.recent_weights, np.float32),
        creators=viewer.creators,
        updated_s=viewer.updated_s,
    )
    return ViewerState(
        taste=taste,
        seen_ids=_ids(viewer.seen_ids),
        following=_ids(viewer.following),
        blocked=_ids(viewer.blocked),
        hidden_tags=viewer.hidden_tags,
        interests=viewer.interests,
        region=viewer.region,
        shown_ids=viewer.shown_ids,
        hour=viewer.hour,
    )


def _ids(raw: bytes) -> NDArray[np.int64]:
    return np.frombuffer(raw, np.int64)
