"""Scratch folders belong to living processes: those of killed ones are swept, those in use never."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from origin.packaging.scratch import Scratch

_HOLDER = """
import asyncio, sys
from pathlib import Path
from origin.packaging.scratch import Scratch
async def main():
    async with Scratch(Path(sys.argv[1])).folder("held") as folder:
        (folder / "big").write_bytes(bytes(1000))
        print(folder, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_folder_goes_with_its_user(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "scratch")
    assert await scratch.sweep() == []
    async with scratch.folder("42") as folder:
        (folder / "inner").mkdir()
        assert folder.name.startswith("42-")
        assert await scratch.sweep() == []
        assert folder.is_dir()
    assert not left_in(tmp_path / "scratch")


async def test_the_folder_of_a_killed_process_is_swept_and_only_then(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    command = [sys.executable, "-c", _HOLDER, str(tmp_path)]
    holder = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    folder = Path((await holder.stdout.readline()).decode().strip())
    assert (folder / "big").exists()
    assert await scratch.sweep() == []
    holder.kill()
    await holder.wait()
    assert await scratch.sweep() == [folder.name]
    assert not left_in(tmp_path)


async def test_makers_and_sweepers_at_the_same_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    async def work(number: int) -> None:
        scratch = Scratch(tmp_path)
        for _ in range(20):
            async with scratch.folder(str(number)) as folder:
                (folder / "file").write_bytes(b"x")
                await asyncio.sleep(0)
                assert (folder / "file").read_bytes() == b"x"

    async def sweep() -> int:
        return sum([len(await Scratch(tmp_path).sweep()) for _ in range(60)])

    swept, *_ = await asyncio.gather(sweep(), *(work(number) for number in range(6)))
    assert swept == 0
    assert not left_in(tmp_path)
