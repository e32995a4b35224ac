"""What a PoP and its list process say to each other: msgpack behind a length, over a pair of sockets."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge.feed.lists.maker import CommonLists, MakerPolicy
from inference.experiments import Experiment
from inference.feed.followed_columns import Extent
from inference.feed.recommender import Pick
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


class Recommend(msgspec.Struct, frozen=True, array_like=True, tag=True):
    viewer: ViewerState
    arm: str
    generation: int
    count: int
    now_s: float


class Rerank(msgspec.Struct, frozen=True, array_like=True, tag=True):
    viewer: ViewerState
    tail: tuple[Pick, ...]
    arm: str
    generation: int
    now_s: float


class Rerun(msgspec.Struct, frozen=True, array_like=True, tag=True):
    viewer: ViewerState
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


def _plain(value: object) -> object:
    """What msgpack knows, for what it does not: an array as type, shape and bytes, a path as text."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not sent to a list process")


def _whole(kind: type, value: Any) -> object:
    """The other way round; arrays are read-only."""
    if kind is Path:
        return Path(value)
    dtype, shape, raw = value
    return np.frombuffer(raw, dtype).reshape(shape)


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
start_decoder = msgspec.msgpack.Decoder(Start, dec_hook=_whole)
asked_decoder = msgspec.msgpack.Decoder(Asked, dec_hook=_whole)
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
