"""The vector spaces of lists: the catalogue's content space, and one for each model that learned its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from inference.feed.columns import FeedColumns
from inference.feed.model import FeedModel
from inference.feed.row_index import RowIndex
from inference.feed.space_columns import SpaceColumns


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

    def indexes(self) -> list[RowIndex]:
        return [index for _, index in self._open.values()]

    def keep(self, models: Iterable[FeedModel]) -> None:
        """Forget every learned space that none of these models uses: 512 bytes a video and its index."""
        wanted = {self._catalogue.space, *(model.space.name for model in models if model.space is not None)}
        self._open = {name: parts for name, parts in self._open.items() if name in wanted}
