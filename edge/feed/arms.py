"""The arms of the running experiment: one recommender each over the same columns, and a guard that stops harm.

A canary of a new model is an arm with a small share and a model; raising the share rolls it out. The guard compares
the watch quantile of every attributed event with control's; an arm that does harm gets no viewers any more, here at
once and at every PoP once the control plane has heard of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edge.feed.impression import Impression
from edge.feed.spaces import Spaces
from inference.errors import ModelError
from inference.experiments import CONTROL, Arm, Experiment, RunningMean, does_harm
from inference.feed.model import FeedModel, load
from inference.feed.recommender import Policy, Recommender

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmTable:
    """What serves: replaced as a whole, so that a model and its vector space change in one step."""

    recommenders: dict[str, Recommender]
    """By arm; CONTROL is always there."""
    experiment: Experiment | None


class Arms:
    """Runs on the event loop. `recommender(arm)` may then be used in a ranking thread."""

    def __init__(self, table: ArmTable) -> None:
        self._table = table
        self._stopped: dict[str, str] = {}
        self._quality: dict[str, RunningMean] = {}

    def swap(self, table: ArmTable) -> None:
        """Serve another table from the next page on. What was counted and stopped of other experiments is forgotten."""
        self._table = table
        labels = {self.label(arm) for arm in table.recommenders}
        self._stopped = {label: reason for label, reason in self._stopped.items() if label in labels}
        self._quality = {label: mean for label, mean in self._quality.items() if label in labels}

    @property
    def control(self) -> Recommender:
        return self._table.recommenders[CONTROL]

    @property
    def stopped(self) -> frozenset[str]:
        return frozenset(arm for arm in self._table.recommenders if self.label(arm) in self._stopped)

    @property
    def stops(self) -> Mapping[str, str]:
        """Label of each stopped arm and why: what the centre tells the other PoPs."""
        return self._stopped

    @property
    def tallies(self) -> Mapping[str, RunningMean]:
        """Watch quantiles by label, since this process started."""
        return self._quality

    def arm_of(self, viewer_id: str) -> str:
        """The viewer's arm; control when it was stopped or could not be loaded."""
        experiment = self._table.experiment
        if experiment is None:
            return CONTROL
        arm = experiment.assign(viewer_id)
        return arm if self._usable(arm) and not self._shadowed(arm) else CONTROL

    def shadow_of(self, viewer_id: str) -> str | None:
        """The arm whose list is made beside control's for this viewer, if one is tried out that way."""
        experiment = self._table.experiment
        if experiment is None:
            return None
        arm = experiment.assign(viewer_id)
        return arm if self._usable(arm) and self._shadowed(arm) else None

    def _usable(self, arm: str) -> bool:
        return arm in self._table.recommenders and self.label(arm) not in self._stopped

    def _shadowed(self, arm: str) -> bool:
        experiment = self._table.experiment
        return experiment is not None and arm != CONTROL and experiment.arms[arm].shadow

    def recommender(self, arm: str) -> Recommender:
        """Control's for an arm that went away since it was assigned."""
        return self._table.recommenders.get(arm, self.control)

    def space_of(self, viewer_id: str) -> str:
        """The vector space in which this viewer is served."""
        return self.recommender(self.arm_of(viewer_id)).columns.space

    def label(self, arm: str) -> str:
        """What an impression logs: "" without an experiment."""
        return f"{self._table.experiment.name}={arm}" if self._table.experiment is not None else ""

    def stop(self, arm: str, reason: str) -> None:
        """Send the arm's viewers to control from the next page on."""
        label = self.label(arm)
        if arm != CONTROL and label and label not in self._stopped:
            self._stopped[label] = reason
            _log.error("an experiment's arm was stopped: %s", reason, extra={"event": "arm_stopped", "arm": arm})

    def stop_labels(self, labels: Iterable[str]) -> None:
        """Stop what another PoP or the centre stopped; labels of other experiments are ignored."""
        for arm in self._table.recommenders:
            if self.label(arm) in labels:
                self.stop(arm, "the control plane stopped it at every PoP")

    def observe(self, impression: Impression | None, quantile: float) -> None:
        """One watch that came of an impression: feeds the guard."""
        if self._table.experiment is None or impression is None:
            return
        name, _, arm = impression.arm.partition("=")
        if name != self._table.experiment.name or arm not in self._table.recommenders:
            return
        own = self._quality.setdefault(impression.arm, RunningMean())
        own.add(quantile)
        control = self._quality.get(self.label(CONTROL))
        if arm != CONTROL and control is not None and does_harm(control, own):
            self.stop(arm, f"mean watch quantile {own.mean:.3f} against {control.mean:.3f}")


def open_arms(
    spaces: Spaces,
    *,
    model: FeedModel,
    policy: Policy,
    experiment: Experiment | None,
    model_dir: Path | None,
    on_failure: Callable[[str], None] = lambda arm: None,
) -> ArmTable:
    """Load the arms' models and open their spaces: seconds at a large catalogue, not on the event loop.

    An arm that does not load is left out (its viewers get control) and reported. Raises ModelError for control's.
    """
    recommenders: dict[str, Recommender] = {}
    for name, arm in (experiment.arms if experiment is not None else {}).items():
        try:
            arm_model = load(model_dir / arm.model) if arm.model and model_dir is not None else model
            columns, index = spaces.open(arm_model)
        except ModelError as err:
            _log.error("arm %s has no usable model: %s", name, err.detail, extra={"event": "arm_without_model"})
            on_failure(name)
            continue
        recommenders[name] = Recommender(columns, index, model=arm_model, policy=_policy_of(policy, arm))
    columns, index = spaces.open(model)
    recommenders[CONTROL] = Recommender(columns, index, model=model, policy=policy)
    return ArmTable(recommenders=recommenders, experiment=experiment)


def _policy_of(policy: Policy, arm: Arm) -> Policy:
    if arm.explore_every is not None:
        policy = replace(policy, exploration=replace(policy.exploration, every=arm.explore_every))
    if arm.diversity_theta is not None:
        policy = replace(policy, diversity=replace(policy.diversity, theta=arm.diversity_theta))
    return policy
