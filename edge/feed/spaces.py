"""The vector spaces a PoP serves at once: its catalogue's content space, and one per model that learned its own."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import numpy as np

from inference.feed.columns import FeedColumns
from inference.feed.model import FeedModel
from inference.feed.row_index import RowIndex
from inference.feed.space_columns import SpaceColumns, taste_in
from inference.feed.taste import Taste, Vector


class Spaces:
    """Owner of columns and index per space. `open` may run in any thread; a space that is open stays as it is."""

    def __init__(self, catalogue: FeedColumns, *, snapshots: Path | None = None) -> None:
        """`snapshots`: folder that keeps the built indexes for the next start."""
        self._catalogue = catalogue
        self._snapshots = snapshots
        self._open: dict[str, tuple[FeedColumns, RowIndex]] = {catalogue.space: (catalogue, self._index(catalogue))}

    def restore(self) -> bool:
        """Serve the catalogue's space with the index of the last run, if it was kept. Blocking: not on the loop."""
        return self._open[self._catalogue.space][1].restore()

    def _index(self, columns: FeedColumns) -> RowIndex:
        return RowIndex(columns, snapshot=self._snapshots / quote(columns.space, safe="") if self._snapshots else None)

    def open(self, model: FeedModel) -> tuple[FeedColumns, RowIndex]:
        """Columns and index of the model's space. 15 us a video and an index build when the space is new: not on the
        event loop. Raises ModelDamaged when the model maps another content space."""
        learned = model.space
        if learned is None:
            return self._open[self._catalogue.space]
        if learned.name not in self._open:
            columns = SpaceColumns(self._catalogue, learned)
            columns.place_all()
            index = self._index(columns)
            if index.needs_rebuild() and not index.restore():
                index.rebuild()
            self._open[learned.name] = columns, index
        return self._open[learned.name]

    def name_of(self, model: FeedModel) -> str:
        return model.space.name if model.space is not None else self._catalogue.space

    def indexes(self) -> list[RowIndex]:
        return [index for _, index in self._open.values()]

    def keep(self, models: list[FeedModel]) -> None:
        """Forget every learned space that none of these models uses: 512 bytes a video and its index."""
        wanted = {self._catalogue.space, *(self.name_of(model) for model in models)}
        self._open = {name: parts for name, parts in self._open.items() if name in wanted}

    def vector(self, space: str, row: int) -> Vector | None:
        """(256,) float32 of a row in a space; None without one, or when the space is not served any more."""
        parts = self._open.get(space)
        if parts is None or not parts[0].has_vector[row]:
            return None
        vector: Vector = parts[0].vector[row].astype(np.float32)
        return vector

    def taste_in(self, space: str, taste: Taste) -> Taste:
        """The taste itself, or, when it is of another space, rebuilt from the videos it last liked that are here."""
        if taste.space == space:
            return taste
        parts = self._open.get(space)
        return Taste(space=space) if parts is None else taste_in(parts[0], taste)
