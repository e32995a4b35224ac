"""Where lists are made, as the feed sees it."""

from __future__ import annotations

from typing import Protocol

from edge.feed.arms import ArmTable
from edge.feed.lists.maker import CommonLists
from inference.feed.recommender import Pick, Ranked
from inference.feed.viewer import ViewerState


class Lists(Protocol):
    """Every method may raise; lists name the arm and the generation of the table they are to be made with."""

    @property
    def alive(self) -> bool: ...

    @property
    def waiting(self) -> int:
        """Lists asked for and not there yet."""
        ...

    async def recommend(self, state: ViewerState, *, arm: str, generation: int, count: int, now_s: float) -> Ranked: ...

    async def rerank(
        self, state: ViewerState, tail: tuple[Pick, ...], *, arm: str, generation: int, now_s: float
    ) -> Ranked: ...

    async def rerun(self, state: ViewerState, *, count: int, oldest_first: list[int], now_s: float) -> list[int]: ...

    async def prepare(self, table: ArmTable) -> None: ...

    async def keep(self, generation: int) -> None: ...

    async def refresh(self, *, now_s: float) -> CommonLists: ...

    async def close(self) -> None: ...
