"""Changes the model, its vector space and the experiment while pages are made."""

from __future__ import annotations

import asyncio
from pathlib import Path

from edge.feed.arms import load_arms
from edge.feed.ranking import Ranking
from inference.experiments import Experiment


class ModelSwitch:
    """One change at a time. Model, vectors, index and experiment are made ready beside what serves and swapped in one
    step; a taste follows when its viewer comes next (`TasteSpaces.taste_in`)."""

    def __init__(self, ranking: Ranking, *, content: str, model_dir: Path | None) -> None:
        self.arms = ranking.arms
        self._ranking = ranking
        self._content = content
        self._model_dir = model_dir
        self._changing = asyncio.Lock()

    async def serve(self, *, model: str, experiment: Experiment | None) -> None:
        """Serve a release by name ("" is the one shipped). Raises ModelError, Unavailable: then nothing has changed."""
        async with self._changing:
            table = await asyncio.to_thread(
                load_arms,
                model,
                experiment,
                model_dir=self._model_dir,
                content=self._content,
                generation=self.arms.table.generation + 1,
            )
            await self._ranking.serve(table)
