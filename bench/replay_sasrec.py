"""SASRec (Kang & McAuley 2018) with full softmax, as a peer in the replay; needs torch, which popreel itself does
not."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.replay_peers import DensePeer, Scores
from inference.training.replay import LIKED, Interactions

_LENGTH = 50


class Sasrec(DensePeer):
    """d = 64, two blocks, one head, full cross-entropy over all next items; trained once on the training part."""

    def __init__(self, events: Interactions, n_items: int, *, epochs: int = 10, seed: int = 1) -> None:
        super().__init__(n_items)
        import torch

        self._torch: Any = torch
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        self._net = _net(torch, n_items)
        self._train(_sequences(events), epochs, np.random.default_rng(seed))

    def scores(self, viewer: int, now_s: float) -> Scores:
        history = self.liked.get(viewer)
        if not history:
            return np.zeros(self.n_items)
        with self._torch.no_grad():
            tokens = self._torch.tensor([item + 1 for item in history[-_LENGTH:]])[None]
            return np.asarray(self._net(tokens)[0, -1].tolist())

    def _train(self, sequences: list[list[int]], epochs: int, rng: np.random.Generator) -> None:
        torch = self._torch
        optimiser = torch.optim.Adam(self._net.parameters(), lr=1e-3)
        windows = [
            sequence[max(end - _LENGTH - 1, 0) : end]
            for sequence in sequences
            for end in range(len(sequence), 1, -_LENGTH)
        ]
        for _ in range(epochs):
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


def _net(torch: Any, n_items: int) -> Any:
    class Net(torch.nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
        def __init__(self) -> None:
            super().__init__()
            self.items = torch.nn.Embedding(n_items + 1, 64, padding_idx=0)
            self.places = torch.nn.Embedding(_LENGTH, 64)
            torch.nn.init.normal_(self.items.weight, std=0.02)
            block = torch.nn.TransformerEncoderLayer(64, 1, 128, 0.3, batch_first=True, norm_first=True)
            self.blocks = torch.nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
            self.norm = torch.nn.LayerNorm(64)
            self.drop = torch.nn.Dropout(0.3)

        def forward(self, tokens: Any) -> Any:
            width = tokens.shape[1]
            x = self.drop(self.items(tokens) + self.places(torch.arange(width)))
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
