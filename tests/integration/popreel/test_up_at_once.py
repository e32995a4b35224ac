"""`popreel up --detach` more than once at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from popreel.lab.throwaway import ThrowawayPlatform


def test_of_two_folders_one_comes_up_and_everybody_in_it_is_served(tmp_path: Path) -> None:
    mine, theirs = ThrowawayPlatform(tmp_path / "mine"), ThrowawayPlatform(tmp_path / "theirs")
    theirs.environ["POPREEL_PORT_BASE"] = mine.environ["POPREEL_PORT_BASE"]
    try:
        with ThreadPoolExecutor(3) as terminals:
            results = list(terminals.map(lambda platform: platform.popreel("up", "--detach"), (mine, theirs, mine)))
        won, lost = (mine, theirs) if results[0].returncode == 0 else (theirs, mine)
        for platform, result in zip((mine, theirs, mine), results, strict=True):
            if platform is won:
                assert (result.returncode, "popreel is ready" in result.stdout) == (0, True), result.stderr
                assert won.urls["origin"] in result.stdout
            else:
                assert result.returncode == 1
                assert f"used by popreel on {won.folder.root} " in result.stderr
                assert "POPREEL_PORT_BASE=" in result.stderr
        assert lost.popreel("status").returncode == 1
        again = won.popreel("up", "--detach")
        assert (again.returncode, f"already up, or coming up, on {won.folder.root}" in again.stdout) == (0, True)
    finally:
        for platform in (mine, theirs):
            assert platform.popreel("down").returncode == 0
