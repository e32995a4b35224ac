"""The arms of the running experiment: a model each over the same catalogue, and a guard that stops harm.

A canary of a new model is an arm with a small share and a model; raising the share rolls it out. The guard compares
the watch quantile of every attributed event with control's; an arm that does harm gets no viewers any more, here at
once and at every PoP once the control plane has heard of it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.feed.impression import Impression
from inference.errors import ModelDamaged, ModelError
from inference.experiments import CONTROL, Experiment, RunningMean, does_harm
from inference.feed.model import FIRST_MODEL, FeedModel, load
from inference.feed.space import LearnedSpace

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmTable:
    """What serves: replaced as a whole, so that models, their vector spaces and the experiment change in one step."""

    generation: int
    """Grows with every table; a list is asked for with that of its time."""
    models: dict[str, FeedModel]
    """By arm; CONTROL is always there."""
    releases: dict[str, str]
    """By arm: the name its model was loaded by, "" for the one shipped."""
    experiment: Experiment | None


class Arms:
    """Runs on the event loop."""

    def __init__(self, table: ArmTable, *, content: str) -> None:
        """`content`: the catalogue's own vector space."""
        self._table = table
        self._content = content
        self._stopped: dict[str, str] = {}
        self._quality: dict[str, RunningMean] = {}

    def swap(self, table: ArmTable) -> None:
        """Serve another table from the next page on. What was counted and stopped of other experiments is forgotten."""
        self._table = table
        labels = {self.label(arm) for arm in table.models}
        self._stopped = {label: reason for label, reason in self._stopped.items() if label in labels}
        self._quality = {label: mean for label, mean in self._quality.items() if label in labels}

    @property
    def table(self) -> ArmTable:
        return self._table

    @property
    def control(self) -> FeedModel:
        return self._table.models[CONTROL]

    @property
    def stopped(self) -> frozenset[str]:
        return frozenset(arm for arm in self._table.models if self.label(arm) in self._stopped)

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
        return arm in self._table.models and self.label(arm) not in self._stopped

    def _shadowed(self, arm: str) -> bool:
        experiment = self._table.experiment
        return experiment is not None and arm != CONTROL and experiment.arms[arm].shadow

    def model(self, arm: str) -> FeedModel:
        """Control's for an arm that went away since it was assigned."""
        return self._table.models.get(arm, self.control)

    @property
    def learned(self) -> Mapping[str, LearnedSpace]:
        """The learned spaces of the models that serve, by name."""
        return {model.space.name: model.space for model in self._table.models.values() if model.space is not None}

    def space_of(self, viewer_id: str) -> str:
        """The vector space in which this viewer is served."""
        return self.space(self.arm_of(viewer_id))

    def space(self, arm: str) -> str:
        """The vector space of an arm's model."""
        learned = self.model(arm).space
        return learned.name if learned is not None else self._content

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
        for arm in self._table.models:
            if self.label(arm) in labels:
                self.stop(arm, "the control plane stopped it at every PoP")

    def observe(self, impression: Impression | None, quantile: float) -> None:
        """One watch that came of an impression: feeds the guard."""
        if self._table.experiment is None or impression is None:
            return
        name, _, arm = impression.arm.partition("=")
        if name != self._table.experiment.name or arm not in self._table.models:
            return
        own = self._quality.setdefault(impression.arm, RunningMean())
        own.add(quantile)
        control = self._quality.get(self.label(CONTROL))
        if arm != CONTROL and control is not None and does_harm(control, own):
            self.stop(arm, f"mean watch quantile {own.mean:.3f} against {control.mean:.3f}")


def load_arms(
    model: str, experiment: Experiment | None, *, model_dir: Path | None, content: str, generation: int
) -> ArmTable:
    """Load control's model by name ("": the one shipped) and the arms', for a catalogue of a content space. Blocking.

    An arm that does not load is left out: its viewers get control. Raises ModelError for control's.
    """
    models, releases = {CONTROL: _fitting(load_release(model, model_dir), content)}, {CONTROL: model}
    for name, arm in (experiment.arms if experiment is not None else {}).items():
        release = arm.model or model
        try:
            known = models[CONTROL] if release == model else _fitting(load_release(release, model_dir), content)
        except ModelError as err:
            _log.error("arm %s has no usable model: %s", name, err.detail, extra={"event": "arm_without_model"})
            continue
        models[name], releases[name] = known, release
    return ArmTable(generation=generation, models=models, releases=releases, experiment=experiment)


def _fitting(model: FeedModel, content: str) -> FeedModel:
    if model.space is not None and model.space.content != content:
        raise ModelDamaged(
            f"space {model.space.name} maps vectors of {model.space.content}, this catalogue has {content}"
        )
    return model


def load_release(name: str, model_dir: Path | None) -> FeedModel:
    """A release by name, or the one shipped. Blocking. Raises ModelMissing, ModelDamaged."""
    if name and model_dir is not None:
        return load(model_dir / name)
    if (FIRST_MODEL / "model.json").is_file():
        return load(FIRST_MODEL)
    return FeedModel(name="none")
