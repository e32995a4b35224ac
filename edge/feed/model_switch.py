"""Changes the model, its vector space and the experiment while pages are made."""

from __future__ import annotations

import asyncio
from pathlib import Path

from edge.feed.arms import Arms, ArmTable, open_arms
from edge.feed.spaces import Spaces
from inference.experiments import Experiment
from inference.feed.model import FIRST_MODEL, FeedModel, load
from inference.feed.recommender import Policy


class ModelSwitch:
    """One change at a time. Model, vectors, index and experiment are made ready in a thread and swapped in one step;
    a taste follows when its viewer comes next (`Spaces.taste_in`)."""

    def __init__(self, arms: Arms, spaces: Spaces, *, policy: Policy, model_dir: Path | None) -> None:
        self.arms = arms
        self._spaces = spaces
        self._policy = policy
        self._model_dir = model_dir
        self._changing = asyncio.Lock()

    async def serve(self, *, model: str, experiment: Experiment | None) -> None:
        """Serve a release by name ("" is the one shipped). Raises ModelError: then nothing has changed."""
        async with self._changing:
            table = await asyncio.to_thread(self._prepare, model, experiment)
            self.arms.swap(table)
            self._spaces.keep([recommender.model for recommender in table.recommenders.values()])

    def _prepare(self, name: str, experiment: Experiment | None) -> ArmTable:
        model = load_model(name, self._model_dir)
        return open_arms(
            self._spaces, model=model, policy=self._policy, experiment=experiment, model_dir=self._model_dir
        )


def load_model(name: str, model_dir: Path | None) -> FeedModel:
    """A release by name, or the one shipped. Blocking. Raises ModelMissing, ModelDamaged."""
    if name and model_dir is not None:
        return load(model_dir / name)
    if (FIRST_MODEL / "model.json").is_file():
        return load(FIRST_MODEL)
    return FeedModel(name="none")
