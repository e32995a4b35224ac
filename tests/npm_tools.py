"""Readers and players of other people, from npm, installed once into the project's git-ignored .cache/."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from popreel.errors import LauncherError
from popreel.web_build import find_node, run_npm

_FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "npm-readers"
PACKAGES = {
    "hls-parser": "0.13.5",
    "hls.js": "1.7.4",
    "m3u8-parser": "7.2.0",
    "mp4box": "2.4.1",
    "shaka-player": "5.2.12",
}


def npm_tools() -> Path:
    """The node_modules folder that holds PACKAGES; fetched if missing. Without a network: skipped, in CI failed."""
    modules = _FOLDER / "node_modules"
    if not all(_version(modules / name) == version for name, version in PACKAGES.items()):
        _FOLDER.mkdir(parents=True, exist_ok=True)
        wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
        try:
            run_npm(*find_node(), "install", "--silent", "--no-audit", "--no-fund", *wanted, cwd=_FOLDER)
        except LauncherError as err:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"the npm registry is out of reach: {err}")
    return modules


def run_script(script: Path, *arguments: Path) -> str:
    """Run a script of ours on Node where it finds PACKAGES; returns its output. Blocking; fails with its complaint."""
    environ = {**os.environ, "NODE_PATH": str(npm_tools())}
    command = [str(find_node()[0]), str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stderr[-1500:]
    return done.stdout


def _version(package: Path) -> str | None:
    manifest = package / "package.json"
    return str(json.loads(manifest.read_text())["version"]) if manifest.is_file() else None
