import os
from pathlib import Path

import pytest

from packager.disk_budget import disk_budget_bytes, file_system

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
31 22 0:27 / /dev/shm rw,nosuid - tmpfs tmpfs rw,inode64
40 22 0:44 / /a\\040b rw - overlay overlay rw
"""


def _mounts(folder: Path, kind: str) -> Path:
    device = folder.stat().st_dev
    (mounts := folder / "mountinfo").write_text(f"9 1 {os.major(device)}:{os.minor(device)} / / rw - {kind} x rw\n")
    return mounts


def test_pictures_take_a_quarter_of_the_free_disk_at_most(tmp_path: Path) -> None:
    mounts = _mounts(tmp_path, "ext4")
    assert disk_budget_bytes(4096, tmp_path, mounts=mounts) == 4096
    disk = os.statvfs(tmp_path)
    assert 0 < disk_budget_bytes(1 << 62, tmp_path, mounts=mounts) <= disk.f_blocks * disk.f_frsize // 4


@pytest.mark.parametrize("kind", ["tmpfs", "ramfs"])
def test_memory_that_looks_like_a_disk_is_not_taken(tmp_path: Path, kind: str) -> None:
    assert disk_budget_bytes(4096, tmp_path, mounts=_mounts(tmp_path, kind)) == 0


def test_nothing_is_taken_where_the_disk_is_unknown(tmp_path: Path) -> None:
    assert disk_budget_bytes(4096, tmp_path, mounts=tmp_path / "nothing") == 0
    assert disk_budget_bytes(4096, tmp_path / "nothing") == 0


@pytest.mark.parametrize(
    ("device", "kind"), [((254, 0), "ext4"), ((0, 27), "tmpfs"), ((0, 44), "overlay"), ((7, 7), None)]
)
def test_the_kernels_table_of_mounts_is_read(device: tuple[int, int], kind: str | None) -> None:
    assert file_system(MOUNTS, os.makedev(*device)) == kind
