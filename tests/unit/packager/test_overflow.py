"""Pictures on disk: what comes back is what was written, and nothing that goes wrong is worse than `None`."""

import errno
import os
from pathlib import Path

import av
import numpy as np
import pytest

from packager.encoder import overflow as overflow_module
from packager.encoder.halt import Halt, beside, waited
from packager.encoder.overflow import Overflow, Slot
from packager.encoder.pace import Pace
from packager.encoder.spool import Spool

WIDTH, HEIGHT = 322, 182
SIZE = 92 << 10
"""A picture of that size takes 22 blocks of 4 KiB, somewhat less than this."""


def _picture(seed: int, *, width: int = WIDTH, pixels: str = "yuv420p") -> av.VideoFrame:
    picture = av.VideoFrame(width, HEIGHT, pixels)
    random = np.random.default_rng(seed)
    for plane in picture.planes:
        plane.update(random.integers(0, 256, plane.buffer_size, np.uint8).tobytes())
    picture.colorspace, picture.color_range = 1, 1
    return picture


def _pixels(picture: av.VideoFrame | None) -> list[bytes]:
    assert picture is not None
    bits = picture.format.components[0].bits
    return [
        np.frombuffer(plane, np.uint8)
        .reshape(-1, plane.line_size)[: plane.height, : plane.width * (2 if bits > 8 else 1)]
        .tobytes()
        for plane in picture.planes
    ]


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _overflow(folder: Path, *, pictures: int) -> Overflow:
    """Room for that many, a multiple of its 16 files."""
    return Overflow(folder, limit_bytes=pictures * SIZE, picture_bytes=SIZE)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv420p10le", "yuv444p", "nv12", "gray"])
def test_what_is_read_is_what_was_written(tmp_path: Path, pixels: str) -> None:
    store = Overflow(tmp_path, limit_bytes=64 << 20, picture_bytes=WIDTH * HEIGHT * 3)
    pictures = [_picture(seed, pixels=pixels) for seed in range(5)]
    slots = [store.write(picture) for picture in pictures]
    assert list(tmp_path.iterdir()) == []
    for slot, picture in zip(slots, pictures, strict=True):
        assert slot is not None
        back = store.read(slot)
        assert _pixels(back) == _pixels(picture)
        assert back is not None
        assert (back.format.name, back.colorspace, back.color_range) == (pixels, 1, picture.color_range)
    store.close()


def test_it_is_bounded_and_space_comes_back_a_file_at_a_time(tmp_path: Path) -> None:
    store, picture = _overflow(tmp_path, pictures=32), _picture(0)
    before = _descriptors()
    assert store.room() == 32
    slots = [slot for _ in range(40) if (slot := store.write(picture)) is not None]
    assert len(slots) == 32
    assert store.room() == 0
    assert _descriptors() == before + 16
    store.release(slots[0])
    assert store.write(picture) is None
    store.release(slots[1])
    assert store.room() == 2
    assert store.write(picture) is not None
    for slot in slots[2:]:
        store.release(slot)
    assert _descriptors() == before + 1
    store.close()
    assert _descriptors() == before


def test_a_picture_of_another_kind_ends_it(tmp_path: Path) -> None:
    store = _overflow(tmp_path, pictures=32)
    first = store.write(_picture(1))
    assert first is not None
    assert store.write(_picture(2, width=WIDTH - 2)) is None
    assert store.write(_picture(3)) is None
    assert store.room() == 0
    assert _pixels(store.read(first)) == _pixels(_picture(1))
    store.close()


def test_each_picture_keeps_the_colours_it_names(tmp_path: Path) -> None:
    """The poster's lane names those of some pictures only, and a scaler sets them while it works."""
    store = _overflow(tmp_path, pictures=32)
    slots = []
    for colours in ((2, 0), (6, 1), (2, 0)):
        picture = _picture(1)
        picture.colorspace, picture.color_range = colours
        slots.append(store.write(picture))
    read = [store.read(slot) for slot in slots if slot is not None]
    assert [(back.colorspace, back.color_range) for back in read if back is not None] == [(2, 0), (6, 1), (2, 0)]
    assert store.room() > 0
    store.close()


@pytest.mark.parametrize("failure", [errno.ENOSPC, errno.EFBIG, errno.EIO, None])
def test_a_full_or_broken_disk_ends_it(tmp_path: Path, failure: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """`None`: only a part of the picture was written."""
    store = _overflow(tmp_path, pictures=32)
    first = store.write(_picture(1))
    assert first is not None

    def fail(descriptor: int, data: bytes, offset: int) -> int:
        if failure is None:
            return len(data) - 1
        raise OSError(failure, os.strerror(failure))

    monkeypatch.setattr(overflow_module.os, "pwrite", fail)
    assert store.write(_picture(2)) is None
    monkeypatch.undo()
    assert store.write(_picture(3)) is None
    assert _pixels(store.read(first)) == _pixels(_picture(1))
    store.close()


def test_a_folder_that_cannot_be_written_ends_it(tmp_path: Path) -> None:
    store = _overflow(tmp_path / "nothing", pictures=32)
    assert store.write(_picture(1)) is None
    assert store.room() == 0


def test_without_direct_io_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = real(path, flags & ~os.O_DIRECT, mode)
        if not flags & os.O_DIRECT:
            return descriptor
        os.close(descriptor)  # the file is there, as with file systems that look at the flag last
        raise OSError(errno.EINVAL, "no direct I/O here")

    monkeypatch.setattr(overflow_module.os, "open", refuse)
    store = _overflow(tmp_path, pictures=32)
    slot = store.write(_picture(1))
    assert slot is not None
    assert list(tmp_path.iterdir()) == []
    assert _pixels(store.read(slot)) == _pixels(_picture(1))
    store.close()


def _spool(store: Overflow, halt: Halt, *, capacity: int, total: int, patient: bool = True) -> Spool:
    pace = Pace(total=total, goal_s=float("inf") if patient else 0.0, clock=lambda: 0.0)
    return Spool(capacity=capacity, total=total, halt=halt, pace=pace, overflow=store)


def test_a_spool_with_a_disk_leaves_none_out_and_repeats_the_same_object(tmp_path: Path) -> None:
    halt, store = Halt(), _overflow(tmp_path, pictures=256)
    spool = _spool(store, halt, capacity=8, total=120)
    spilling = beside("spill", spool.spill, halt)
    pictures = [_picture(seed) for seed in range(60)]
    for place in range(120):
        spool.put(place, pictures[place // 2])  # each stands for two places
    spool.close()
    waited(spilling, halt)
    assert store.room() < 256
    got = [spool.take(place) for place in range(120)]
    assert all(got[place] is got[place + 1] for place in range(0, 120, 2))
    assert [_pixels(one) for one in got] == [_pixels(pictures[place // 2]) for place in range(120)]
    assert any(one is not pictures[place // 2] for place, one in enumerate(got))
    spool.discard()


def test_taking_and_spilling_at_once_gives_every_picture_once(tmp_path: Path) -> None:
    halt, store = Halt(), _overflow(tmp_path, pictures=64)
    spool = _spool(store, halt, capacity=8, total=300)
    pictures = [_picture(seed) for seed in range(10)]
    spilling = beside("spill", spool.spill, halt)
    taken = beside("taker", lambda: [_pixels(spool.take(place)) for place in range(300)], halt)
    for place in range(300):
        spool.put(place, pictures[place % 10])
    spool.close()
    assert waited(taken, halt) == [_pixels(pictures[place % 10]) for place in range(300)]
    waited(spilling, halt)
    spool.discard()


def test_a_disk_that_is_too_slow_is_not_asked_again(tmp_path: Path) -> None:
    """Nobody writes here: the hurried lane finds the memory full while the disk has room."""
    halt, store = Halt(), _overflow(tmp_path, pictures=64)
    spool = _spool(store, halt, capacity=4, total=20, patient=False)
    pictures = [_picture(seed) for seed in range(20)]
    for place in range(20):
        spool.put(place, pictures[place])
    spool.close()
    assert store.room() == 0
    assert [spool.take(place) for place in range(4)] == pictures[:4]
    assert spool.take(4) is None
    spool.discard()


def test_a_picture_the_disk_does_not_give_back_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halt, store = Halt(), _overflow(tmp_path, pictures=64)

    def lost(slot: Slot) -> None:
        return None

    monkeypatch.setattr(store, "read", lost)
    spool = _spool(store, halt, capacity=4, total=20)
    spilling = beside("spill", spool.spill, halt)
    for place in range(20):
        spool.put(place, _picture(place))
    spool.close()
    waited(spilling, halt)
    got = [spool.take(place) for place in range(20)]
    assert got.count(None) >= 16
    spool.discard()
