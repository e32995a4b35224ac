"""The guard over all PoPs: which arms do harm, decided on the sum of what every PoP counted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from foundation.wire.models import ArmEffect, ArmTally
from foundation.wire.pops import PopHeartbeat
from inference.experiments import CONTROL, RunningMean, does_harm, joined, running_effect


def totals(heartbeats: Iterable[PopHeartbeat]) -> dict[str, ArmTally]:
    """Tallies by label over the PoPs."""
    parts: dict[str, list[RunningMean]] = {}
    for heartbeat in heartbeats:
        for label, tally in heartbeat.arms.items():
            mean = RunningMean(count=max(tally.events, 0), mean=tally.mean, squares=max(tally.squares, 0.0))
            parts.setdefault(label, []).append(mean)
    means = {label: joined(found) for label, found in parts.items()}
    return {
        label: ArmTally(events=mean.count, mean=mean.mean, squares=mean.squares)
        for label, mean in sorted(means.items())
    }


def to_stop(heartbeats: Iterable[PopHeartbeat]) -> dict[str, str]:
    """Label and reason of every arm that one PoP stopped, or that does harm over all of them together."""
    known = tuple(heartbeats)
    found = {label: f"{beat.pop_id}: {reason}" for beat in known for label, reason in beat.stopped_arms.items()}
    sums = totals(known)
    for label, tally in sums.items():
        experiment, _, arm = label.partition("=")
        control = sums.get(f"{experiment}={CONTROL}")
        if arm != CONTROL and control is not None and does_harm(_mean(control), _mean(tally)):
            found.setdefault(label, f"mean watch quantile {tally.mean:.3f} against {control.mean:.3f} over all PoPs")
    return found


def effects(sums: Mapping[str, ArmTally]) -> dict[str, ArmEffect]:
    """Every arm against the control of its experiment."""
    found = {}
    for label, tally in sums.items():
        experiment, _, arm = label.partition("=")
        control = sums.get(f"{experiment}={CONTROL}")
        effect = running_effect(_mean(control), _mean(tally)) if arm != CONTROL and control is not None else None
        if effect is not None:
            found[label] = ArmEffect(difference=effect.difference, low=effect.low, high=effect.high)
    return found


def _mean(tally: ArmTally) -> RunningMean:
    return RunningMean(count=tally.events, mean=tally.mean, squares=tally.squares)
