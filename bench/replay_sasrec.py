"""SASRec (Kang & McAuley 2018) with full softmax, as a peer in the replay; needs torch, which popreel itself does
not.

Its knobs were chosen on the 70-80 % window, as the blend's weights were. NDCG@10 there, over events and over viewers:

    epochs  width  dropout
    10      64     .3       .0834  .0879
    25      64     .3       .0784  .0938
    25      128    .5       .0772  .0865
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.replay_peers import DensePeer, Scores
from inference.training.replay import LIKED, Interactions

_LENGTH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class SasrecPlan:
    epochs: int = 20
    width: int = 64
    rate: float = 1e-3
    dropout: float = 0.3
    stride: int = 25
    """Windows of 50 begin this far apart; every position of a window is predicted."""
    seed: int = 1


class Sasrec(DensePeer):
    """Two blocks, one head, full cross-entropy over all next items; trained once on the training part."""

    def __init__(self, events: Interactions, n_items: int, *, plan: SasrecPlan | None = None) -> None:
        super().__init__(n_items)
        self._plan = plan or SasrecPlan()
        import torch

        self._torch: Any = torch
        torch.manual_seed(self._plan.seed)
        torch.set_num_threads(1)
        self._net = _net(torch, n_items, self._plan)
        self._train(_sequences(events), np.random.default_rng(self._plan.seed))

    def scores(self, viewer: int, now_s: float) -> Scores:
        history = self.liked.get(viewer)
        if not history:
            return np.zeros(self.n_items)
        with self._torch.no_grad():
            tokens = self._torch.tensor([item + 1 for item in history[-_LENGTH:]])[None]
            return np.asarray(self._net(tokens)[0, -1].tolist())

    def _train(self, sequences: list[list[int]], rng: np.random.Generator) -> None:
        torch = self._torch
        optimiser = torch.optim.Adam(self._net.parameters(), lr=self._plan.rate)
        windows = [
            sequence[max(end - _LENGTH - 1, 0) : end]
            for sequence in sequences
            for end in range(len(sequence), 1, -self._plan.stride)
        ]
        for _ in range(self._plan.epochs):
            order = rng.permutation(len(windows))
            for start in range(0, len(order), 32):
                batch = [windows[at] for at in order[start : start + 32]]
                width = max(len(window) for window in batch) - 1
                source = torch.zeros(len(batch), width, dtype=torch.long)
                target = torch.zeros(len(batch), width, dtype=torch.long)
                for row, window in enumerate(batch):
                    source[row, : len(window) - 1] = torch.tensor(window[:-1]) + 1
                    target[row, : len(window) - 1] = torch.tensor(window[1:]) + 1
                loss = torch.nn.functional.cross_entropy(self._net(source)[target > 0], target[target > 0] - 1)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        self._net.eval()


def _net(torch: Any, n_items: int, plan: SasrecPlan) -> Any:
    class Net(torch.nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
        def __init__(self) -> None:
            super().__init__()
            self.items = torch.nn.Embedding(n_items + 1, plan.width, padding_idx=0)
            self.places = torch.nn.Embedding(_LENGTH, plan.width)
            for table in (self.items, self.places):  # torch's own N(0, 1) for places would drown the items
                torch.nn.init.normal_(table.weight, std=0.02)
            block = torch.nn.TransformerEncoderLayer(
                plan.width, 1, 2 * plan.width, plan.dropout, batch_first=True, norm_first=True
            )
            self.blocks = torch.nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
            self.norm = torch.nn.LayerNorm(plan.width)
            self.drop = torch.nn.Dropout(plan.dropout)

        def forward(self, tokens: Any) -> Any:
            width = tokens.shape[1]
            x = self.drop(self.items(tokens) * plan.width**0.5 + self.places(torch.arange(width)))
            mask = torch.triu(torch.ones(width, width, dtype=torch.bool), 1)
            return self.norm(self.blocks(x, mask=mask)) @ self.items.weight[1:].T

    return Net()


def _sequences(events: Interactions) -> list[list[int]]:
    found: dict[int, list[int]] = {}
    for viewer, item, verdict in zip(
        events.viewer.tolist(), events.item.tolist(), events.verdict.tolist(), strict=True
    ):
        if verdict == LIKED:
            found.setdefault(viewer, []).append(item)
    return [sequence for sequence in found.values() if len(sequence) > 1]
