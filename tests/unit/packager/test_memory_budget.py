from pathlib import Path

import pytest

from packager.memory_budget import frame_budget_bytes

MIB = 1 << 20


def _machine(root: Path, *, available_kib: int, limit: str | None = None, used: int = 0) -> Path:
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable:   {available_kib} kB\n")
    if limit is not None:
        (root / "sys/fs/cgroup").mkdir(parents=True)
        (root / "sys/fs/cgroup/memory.max").write_text(f"{limit}\n")
        (root / "sys/fs/cgroup/memory.current").write_text(f"{used}\n")
    return root


@pytest.mark.parametrize(
    ("limit", "used", "expected_mib"), [(None, 0, 1000), ("max", 0, 1000), (str(1200 * MIB), 400 * MIB, 200)]
)
def test_a_job_takes_a_quarter_of_what_is_free(tmp_path: Path, limit: str | None, used: int, expected_mib: int) -> None:
    root = _machine(tmp_path, available_kib=4000 * 1024, limit=limit, used=used)
    assert frame_budget_bytes(5000 * MIB, root=root) == expected_mib * MIB
    assert frame_budget_bytes(10 * MIB, root=root) == 10 * MIB


def test_nothing_is_held_where_free_memory_is_unknown(tmp_path: Path) -> None:
    assert frame_budget_bytes(5000 * MIB, root=tmp_path) == 0
