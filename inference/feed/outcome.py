"""One watch, judged: what the learning parts need of a report."""

from __future__ import annotations

from dataclasses import dataclass

from inference.feed.watch_quantile import WatchQuantiles

_NEUTRAL = 0.4
"""Quantile between a skip and a watch: the median viewer is a little positive about what the feed chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`quantile` in 0..1; `liking` >= 0 pulls the taste towards the video, `dislike` >= 0 is kept apart for the
    ranker."""

    quantile: float
    liking: float
    dislike: float
    finished: bool
    skipped: bool
    liked: bool = False
    shared: bool = False
    followed: bool = False


def judge(
    quantiles: WatchQuantiles,
    *,
    duration_s: float,
    watched_s: float,
    liked: bool = False,
    commented: bool = False,
    shared: bool = False,
    followed: bool = False,
    not_interested: bool = False,
) -> Outcome:
    """Weigh a watch. Actions count more than seconds (a share most); "not interested" outweighs any watching."""
    quantile = quantiles.quantile(duration_s=max(duration_s, 0.1), watched_s=max(watched_s, 0.0))
    actions = 0.6 * liked + 0.3 * commented + 1.0 * shared + 0.6 * followed
    watching = max(0.0, (quantile - _NEUTRAL) / (1 - _NEUTRAL))
    dislike = 2.0 if not_interested else (max(0.0, (_NEUTRAL - quantile) / _NEUTRAL) if actions == 0 else 0.0)
    return Outcome(
        quantile=0.0 if not_interested else quantile,
        liking=0.0 if not_interested else watching + actions,
        dislike=dislike,
        finished=not not_interested and watched_s >= 0.9 * duration_s,
        skipped=not_interested or (quantile < 0.2 and actions == 0),
        liked=liked,
        shared=shared,
        followed=followed,
    )
