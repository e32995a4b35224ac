"""The arms of the running experiment: one recommender each over the same columns, and a guard that stops harm.

A canary of a new model is an arm with a small share and a model; raising the share rolls it out. The guard compares
the watch quantile of every attributed event with control's; an arm that does harm gets no viewers any more until the
process restarts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edge.feed.impression import Impression
from inference.errors import ModelError
from inference.experiments import CONTROL, Arm, Experiment, RunningMean, does_harm
from inference.feed.columns import FeedColumns
from inference.feed.model import FeedModel, load
from inference.feed.recommender import Policy, Recommender
from inference.feed.row_index import RowIndex

_log = logging.getLogger(__name__)


class Arms:
    """Runs on the event loop. `recommender(arm)` may then be used in a ranking thread."""

    def __init__(
        self, control: Recommender, recommenders: dict[str, Recommender], experiment: Experiment | None
    ) -> None:
        self._recommenders = {CONTROL: control, **recommenders}
        self._experiment = experiment
        self._stopped: set[str] = set()
        self._quality: dict[str, RunningMean] = {}

    @property
    def stopped(self) -> frozenset[str]:
        return frozenset(self._stopped)

    def arm_of(self, viewer_id: str) -> str:
        """The viewer's arm; control when it was stopped or could not be loaded."""
        if self._experiment is None:
            return CONTROL
        arm = self._experiment.assign(viewer_id)
        if arm not in self._recommenders or arm in self._stopped or self._shadowed(arm):
            return CONTROL
        return arm

    def shadow_of(self, viewer_id: str) -> str | None:
        """The arm whose list is made beside control's for this viewer, if one is tried out that way."""
        if self._experiment is None:
            return None
        arm = self._experiment.assign(viewer_id)
        usable = arm in self._recommenders and arm not in self._stopped and self._shadowed(arm)
        return arm if usable else None

    def _shadowed(self, arm: str) -> bool:
        return self._experiment is not None and arm != CONTROL and self._experiment.arms[arm].shadow

    def recommender(self, arm: str) -> Recommender:
        return self._recommenders[arm]

    def label(self, arm: str) -> str:
        """What an impression logs: "" without an experiment."""
        return f"{self._experiment.name}={arm}" if self._experiment is not None else ""

    def stop(self, arm: str, reason: str) -> None:
        """Send the arm's viewers to control from the next page on."""
        if arm != CONTROL and arm not in self._stopped:
            self._stopped.add(arm)
            _log.error("an experiment's arm was stopped: %s", reason, extra={"event": "arm_stopped", "arm": arm})

    def observe(self, impression: Impression | None, quantile: float) -> None:
        """One watch that came of an impression: feeds the guard."""
        if self._experiment is None or impression is None:
            return
        name, _, arm = impression.arm.partition("=")
        if name != self._experiment.name or arm not in self._recommenders:
            return
        self._quality.setdefault(arm, RunningMean()).add(quantile)
        control, own = self._quality.get(CONTROL), self._quality[arm]
        if arm != CONTROL and control is not None and does_harm(control, own):
            self.stop(arm, f"mean watch quantile {own.mean:.3f} against {control.mean:.3f}")


def open_arms(
    columns: FeedColumns,
    index: RowIndex,
    *,
    model: FeedModel,
    policy: Policy,
    experiment: Experiment | None,
    model_dir: Path | None,
    on_failure: Callable[[str], None] = lambda arm: None,
) -> Arms:
    """Load the arms' models. One that does not load is left out (its viewers get control) and reported."""
    recommenders: dict[str, Recommender] = {}
    for name, arm in (experiment.arms if experiment is not None else {}).items():
        try:
            arm_model = load(model_dir / arm.model) if arm.model and model_dir is not None else model
        except ModelError as err:
            _log.error("arm %s has no usable model: %s", name, err.detail, extra={"event": "arm_without_model"})
            on_failure(name)
            continue
        recommenders[name] = Recommender(columns, index, model=arm_model, policy=_policy_of(policy, arm))
    control = Recommender(columns, index, model=model, policy=policy)
    return Arms(control, recommenders, experiment)


def _policy_of(policy: Policy, arm: Arm) -> Policy:
    if arm.explore_every is not None:
        policy = replace(policy, exploration=replace(policy.exploration, every=arm.explore_every))
    if arm.diversity_theta is not None:
        policy = replace(policy, diversity=replace(policy.diversity, theta=arm.diversity_theta))
    return policy
