"""A release as one file, to send it from the place that trains to the places that serve."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

from inference.errors import ModelDamaged, ModelMissing
from inference.feed.model import load

FILES = frozenset({"model.json", "ranker.onnx", "quantiles.npz", "item_to_item.npz", "space.npz", "gates.json"})
_MOST_BYTES = 512 * 1024 * 1024


def pack_release(directory: Path) -> bytes:
    """A zip of the release's files, the same bytes for the same release. Raises ModelMissing."""
    if not (directory / "model.json").is_file():
        raise ModelMissing(f"there is no model.json in {directory.name}")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.iterdir()):
            if path.name in FILES:
                archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return file.getvalue()


def unpack_release(raw: bytes, directory: Path) -> None:
    """Write a release beside others; it appears under its name whole and checked, or not at all.

    Blocking. Raises ModelDamaged. At most 512 MiB unpacked; only files of a release, no folders.
    """
    fresh = directory.with_name(f".{directory.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = archive.infolist()
            if any(member.filename not in FILES for member in members):
                raise ModelDamaged(f"{directory.name} holds files that are not a release's")
            if sum(member.file_size for member in members) > _MOST_BYTES:
                raise ModelDamaged(f"{directory.name} is larger than {_MOST_BYTES} bytes")
            for member in members:
                (fresh / member.filename).write_bytes(archive.read(member))
        load(fresh)
        shutil.rmtree(directory, ignore_errors=True)
        fresh.rename(directory)
    except (zipfile.BadZipFile, OSError, EOFError) as err:
        raise ModelDamaged(f"{directory.name} does not unpack: {err}") from err
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
