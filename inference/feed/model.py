"""A release of the feed's model: one directory whose parts belong together and are swapped together.

model.json          ModelFile: name, space, weights, card, sha256 of the other files
ranker.onnx         see ranker.py
quantiles.npz       edges_s, watch_s: see watch_quantile.py
item_to_item.npz    video_ids, neighbour_ids, weights: optional
space.npz           a learned vector space, see space.py: optional, without it the model works in the content space
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.errors import ModelDamaged, ModelMissing
from inference.feed.item_to_item import ItemToItem, no_item_to_item
from inference.feed.ranker import Ranker
from inference.feed.space import LearnedSpace, unpack
from inference.feed.taste import Taste, Vector
from inference.feed.watch_quantile import WatchQuantiles, default_quantiles

FIRST_MODEL = Path(__file__).parent.parent / "first_model"
"""Ships with popreel so that a new installation is sensible on day one; its card says what it is worth."""


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """How predictions become one score. The first group is a blend of z-scores, the second refines the ranker's
    part."""

    query: tuple[float, ...] = (0.25, 0.35, 0.3, 0.1, -0.05, -0.05)
    """Share of each decayed sum in the search vector."""
    ranker: float = 1.0
    query_cosine: float = 0.0
    item_to_item: float = 0.0
    popularity: float = 0.0
    popularity_gate: float = 0.0
    """Added popularity weight, divided by 1 + number of liked videos."""
    cold_quantile: float = 4.0
    """For who has liked nothing yet: worth of a video's mean watch quantile beside its popularity, a z-score."""
    finish: float = 0.1
    like: float = 0.3
    share: float = 0.3
    skip: float = -0.1


def with_weight(weights: Weights, change: str) -> Weights:
    """`change` is NAME=VALUE from a command line, the value as JSON. Raises ValueError."""
    name, _, value = change.partition("=")
    if name not in Weights.__struct_fields__:
        raise ValueError(f"{name!r} is none of the weights {', '.join(Weights.__struct_fields__)}")
    try:
        return msgspec.convert({**msgspec.to_builtins(weights), name: msgspec.json.decode(value)}, Weights)
    except msgspec.MsgspecError as err:
        raise ValueError(f"{change}: {err}") from err


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """model.json."""

    name: str
    feature_schema: str
    weights: Weights
    trained_on: str
    worth: str
    seed: int
    files: dict[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedModel:
    """Loaded parts, shared by all requests. `ranker` None: order by the blend alone."""

    name: str
    weights: Weights = field(default_factory=Weights)
    ranker: Ranker | None = None
    quantiles: WatchQuantiles = field(default_factory=default_quantiles)
    item_to_item: ItemToItem = field(default_factory=no_item_to_item)
    space: LearnedSpace | None = None
    """None: vectors are the content space's."""

    @property
    def query_weights(self) -> NDArray[np.float32]:
        return np.array(self.weights.query, np.float32)

    def search_vector(self, taste: Taste) -> Vector | None:
        """(256,) unit vector to search with, in this model's space; None as long as nothing was liked."""
        return self.space.search_vector(taste) if self.space is not None else taste.query(self.query_weights)


def load(directory: Path) -> FeedModel:
    """Check every checksum, then load. Raises ModelMissing, ModelDamaged."""
    try:
        head = msgspec.json.decode((directory / "model.json").read_bytes(), type=ModelFile)
    except FileNotFoundError as err:
        raise ModelMissing(f"there is no model.json in {directory.name}") from err
    except msgspec.DecodeError as err:
        raise ModelDamaged(f"model.json of {directory.name} is not readable: {err}") from err
    for name, digest in head.files.items():
        path = directory / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise ModelDamaged(f"{name} of model {head.name} does not match its checksum: fetch the model again")
    return FeedModel(
        name=head.name,
        weights=head.weights,
        ranker=Ranker(directory / "ranker.onnx") if "ranker.onnx" in head.files else None,
        quantiles=_quantiles(directory) if "quantiles.npz" in head.files else default_quantiles(),
        item_to_item=_item_to_item(directory) if "item_to_item.npz" in head.files else no_item_to_item(),
        space=unpack((directory / "space.npz").read_bytes()) if "space.npz" in head.files else None,
    )


def _quantiles(directory: Path) -> WatchQuantiles:
    with np.load(directory / "quantiles.npz", allow_pickle=False) as arrays:
        return WatchQuantiles(edges_s=arrays["edges_s"], watch_s=arrays["watch_s"])


def _item_to_item(directory: Path) -> ItemToItem:
    with np.load(directory / "item_to_item.npz", allow_pickle=False) as arrays:
        return ItemToItem(
            video_ids=arrays["video_ids"], neighbour_ids=arrays["neighbour_ids"], weights=arrays["weights"]
        )


def save(directory: Path, head: ModelFile, files: dict[str, bytes]) -> None:
    """Write a release: the files, then model.json with their checksums."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    head = msgspec.structs.replace(head, files=digests)
    (directory / "model.json").write_bytes(msgspec.json.format(msgspec.json.encode(head)) + b"\n")
