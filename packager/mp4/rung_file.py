"""One rung's file: head with room for the sidx, fragments appended as they are made, the sidx put in at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from packager.mp4.fragment import Fragment, sidx, sidx_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FragmentPlace:
    """Where a fragment lies in its file and what it holds."""

    offset: int
    size: int
    key_bytes: int
    ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RungLayout:
    """The finished file as playlists need it."""

    init_bytes: int
    timescale: int
    places: tuple[FragmentPlace, ...]
    size_bytes: int

    @property
    def prefix_bytes(self) -> int:
        return self.places[0].offset + self.places[0].size

    def seconds(self, place: FragmentPlace) -> Fraction:
        return Fraction(place.ticks, self.timescale)


class RungFile:
    """Writes `{name}.mp4`. Owned by one encoder thread. Bytes before `final_from` change once, at finish.

    `grown` is called with (size so far, first byte that is already final) after each fragment.
    """

    def __init__(
        self, path: Path, *, init: bytes, timescale: int, fragments: int, grown: Callable[[int, int], None]
    ) -> None:
        self._part = path.with_name(path.name + ".part")
        self._path = path
        self._init = init
        self._timescale = timescale
        self._planned = fragments
        self._grown = grown
        self._places: list[FragmentPlace] = []
        self.final_from = len(init) + sidx_bytes(fragments)
        self._file: BinaryIO = self._part.open("wb")
        self._file.write(init + bytes(sidx_bytes(fragments)))
        self._size = self.final_from

    def append(self, made: Fragment, *, ticks: int) -> None:
        self._file.write(made.data)
        self._file.flush()
        self._places.append(
            FragmentPlace(offset=self._size, size=len(made.data), key_bytes=made.key_bytes, ticks=ticks)
        )
        self._size += len(made.data)
        self._grown(self._size, self.final_from)

    def finish(self) -> RungLayout:
        """Write the sidx, give the file its name. Raises ValueError if the cuts were not the planned ones."""
        if len(self._places) != self._planned:
            raise ValueError(f"{self._path.name}: {len(self._places)} fragments, {self._planned} planned")
        self._file.seek(len(self._init))
        self._file.write(sidx(self._timescale, [(place.size, place.ticks) for place in self._places]))
        self._file.close()
        self._part.replace(self._path)
        return RungLayout(
            init_bytes=len(self._init),
            timescale=self._timescale,
            places=tuple(self._places),
            size_bytes=self._size,
        )

    def abandon(self) -> None:
        """Close and remove what there is; harmless after `finish`."""
        self._file.close()
        self._part.unlink(missing_ok=True)
