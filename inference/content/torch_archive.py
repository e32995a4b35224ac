"""Reads tensors from a PyTorch checkpoint of the old, unzipped format without torch and without running its pickle.

The file is five pickles in a row (magic, protocol, system info, the state dict, the storage keys) and then, per key, an
int64 element count and the raw little-endian data. Unpickling is restricted to the three names such a file needs.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from inference.errors import ModelDamaged

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_MAX_ELEMENTS = 1 << 28
"""Bounds one tensor at 1 GiB of float32: more is damage."""


def _refuse(*_: object) -> NoReturn:
    raise ModelDamaged("a storage type was called while reading weights: the file is not a plain state dict")


_TensorSpec = tuple[str, int, tuple[int, ...], tuple[int, ...]]
"""Storage key, offset, size and strides, in elements. Weights converted from TensorFlow are not in C order."""


def _rebuild(
    storage: tuple[str, str], offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> _TensorSpec:
    return storage[1], offset, size, stride


class _StateDictUnpickler(pickle.Unpickler):
    """Knows an OrderedDict, the tensor constructor and storage types by name; anything else is refused."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        super().__init__(file)
        self.dtypes: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _DTYPES:
            return name
        raise ModelDamaged(f"{module}.{name} has no place in a file of weights")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        kind, storage, key = pid[0], pid[1], pid[2]
        if kind != "storage" or storage not in _DTYPES:
            raise ModelDamaged(f"unknown storage {storage!r}")
        self.dtypes[str(key)] = _DTYPES[storage]
        return "storage", str(key)


def read_state_dict(path: Path) -> dict[str, NDArray[Any]]:
    """Tensors by name. Raises ModelDamaged for anything but float32 and int64 tensors in the old format."""
    with path.open("rb") as file:
        try:
            return _read(file)
        except (pickle.UnpicklingError, EOFError, struct.error, ValueError, TypeError, IndexError) as err:
            raise ModelDamaged(f"{path.name} is not a readable checkpoint: {err}") from err


def _read(file: io.BufferedReader) -> dict[str, NDArray[Any]]:
    if _StateDictUnpickler(file).load() != _MAGIC or _StateDictUnpickler(file).load() != _PROTOCOL:
        raise ModelDamaged("not a PyTorch checkpoint of protocol 1001")
    _StateDictUnpickler(file).load()  # sizes of types on the machine that wrote it
    reader = _StateDictUnpickler(file)
    tensors = reader.load()
    storages: dict[str, NDArray[Any]] = {}
    for key in _StateDictUnpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        if not 0 <= count <= _MAX_ELEMENTS or str(key) not in reader.dtypes:
            raise ModelDamaged(f"storage {key!r} of {count} elements")
        dtype = reader.dtypes[str(key)]
        raw = file.read(count * dtype.itemsize)
        storages[str(key)] = np.frombuffer(raw, dtype=dtype, count=count)
    return {name: _view(storages, spec) for name, spec in tensors.items()}


def _view(storages: dict[str, NDArray[Any]], spec: _TensorSpec) -> NDArray[Any]:
    key, offset, size, stride = spec
    if len(size) != len(stride) or offset < 0 or any(n < 1 for n in size) or any(n < 0 for n in stride):
        raise ModelDamaged(f"a tensor of size {size} and strides {stride} makes no sense")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if key not in storages or last >= storages[key].size:
        raise ModelDamaged(f"a tensor lies outside its storage {key!r}")
    storage = storages[key]
    in_bytes = tuple(step * storage.itemsize for step in stride)
    return np.ascontiguousarray(np.lib.stride_tricks.as_strided(storage[offset:], size, in_bytes))
