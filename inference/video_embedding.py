"""A video as one vector: what origin's worker calls after the first rung is made."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.content.audio import band_statistics
from inference.content.frames import FrameEncoder
from inference.content.projection import SPACE, Part, Projection, creator_direction
from inference.content.text import TextEncoder
from inference.errors import ModelMissing


class VideoEmbedder:
    """The content models in one object. CPU-bound: call it in an executor or a worker process. Thread-safe."""

    space: str = SPACE

    def __init__(self, *, frames: FrameEncoder, text: TextEncoder) -> None:
        self._frames = frames
        self._text = text
        self._projection = Projection()
        self._text_lock = threading.Lock()  # guards _text, which is not thread-safe

    @classmethod
    def load(cls, model_dir: Path) -> VideoEmbedder:
        """Load what `python -m inference.install_models` made. Raises ModelMissing. About 0.5 s and 120 MB."""
        directory = model_dir / SPACE
        if not (directory / "card.json").is_file():
            raise ModelMissing(f"run `python -m inference.install_models {model_dir}` first")
        return cls(
            frames=FrameEncoder(directory / "visual.onnx"),
            text=TextEncoder(weights=directory / "text-weights.npz", tokens=directory / "text-tokens.model"),
        )

    def embed(
        self, *, frames: NDArray[np.uint8], text: str, audio_16k: NDArray[np.float32] | None, creator_id: str
    ) -> NDArray[np.float32]:
        """(256,) float32, L2-normalised, in `space`.

        frames (n, 224, 224, 3) RGB, n may be 0; text is title, hashtags and description; audio_16k mono in -1..1 or
        None. Missing parts are left out. Raises NotFinite. About 12 ms per frame + 5 ms.
        """
        parts: dict[Part, NDArray[np.float32]] = {Part.CREATOR: creator_direction(creator_id)}
        if len(frames):
            _, logits = self._frames.encode(frames)
            parts[Part.VISUAL] = logits - logits.mean()
        with self._text_lock:
            text_vector = self._text.encode(text)
        if text_vector is not None:
            parts[Part.TEXT] = text_vector
        sound = band_statistics(audio_16k)
        if sound is not None:
            parts[Part.AUDIO] = sound
        return self._projection.join(parts)
