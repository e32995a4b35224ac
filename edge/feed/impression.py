"""The opaque token of a feed item: what off-policy evaluation and the receipt need, sent back with the watch event."""

from __future__ import annotations

import base64
import binascii

import msgspec

from inference.feed.recommender import Pick
from inference.feed.sources import Source


class Impression(msgspec.Struct, frozen=True, array_like=True):
    """Version 1. Times are unix milliseconds."""

    version: int
    video_id: int
    source: int
    place: int
    """Position in the session, from 0."""
    score: float
    propensity: float
    model: str
    arm: str
    """Experiment arms of the viewer, "name=arm" joined by commas."""
    served_ms: int
    cached: bool = False
    """Was its start in this PoP's cache? It may have won a tie by that."""


def make_token(pick: Pick, *, place: int, model: str, arm: str, served_ms: int, cached: bool = False) -> str:
    """About 90 characters."""
    impression = Impression(
        1,
        pick.video_id,
        int(pick.source),
        place,
        round(pick.score, 3),
        pick.propensity,  # as it is: an unlikely draw rounded to 0 could not be weighed
        model,
        arm,
        served_ms,
        cached,
    )
    text = binascii.b2a_base64(_encoder.encode(impression), newline=False)  # a third of base64.urlsafe_b64encode's time
    return text.translate(_URL_SAFE, b"=").decode("ascii")


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Impression)


def read_token(token: str | None) -> Impression | None:
    """None for a missing or foreign token: the watch still counts, without attribution."""
    if not token:
        return None
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        impression = _decoder.decode(raw)
        Source(impression.source)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None
    return impression if impression.version == 1 else None
