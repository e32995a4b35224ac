"""The playlists before two independent readers of npm: hls-parser in strict mode and m3u8-parser."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest

from packager import package
from popreel.errors import LauncherError
from popreel.web_build import find_node, run_npm
from tests.media import CACHE, clip

_READERS = CACHE.parent / "npm-readers"
_PACKAGES = ("hls-parser@0.13.5", "m3u8-parser@7.2.0")
_SCRIPT = """
const fs = require('fs');
const HLS = require('hls-parser');
const { Parser } = require('m3u8-parser');
HLS.setOptions({ strictMode: true });
const report = {};
for (const file of process.argv.slice(2)) {
  const text = fs.readFileSync(file, 'utf8');
  const strict = HLS.parse(text);
  const warnings = [];
  const parser = new Parser();
  parser.on('warn', (event) => warnings.push(event.message));
  parser.push(text);
  parser.end();
  const other = parser.manifest;
  report[file.split('/').pop()] = {
    isMaster: strict.isMasterPlaylist,
    variants: (strict.variants || []).filter((v) => !v.isIFrameOnly).map((v) => [v.uri, v.bandwidth, v.codecs]),
    segments: (strict.segments || []).map((s) => [s.byterange.offset, s.byterange.length, s.duration]),
    otherSegments: (other.segments || []).map((s) => [s.byterange.offset, s.byterange.length, s.duration]),
    otherVariants: (other.playlists || []).map((p) => [p.uri, p.attributes.BANDWIDTH, p.attributes.CODECS]),
    warnings,
  };
}
console.log(JSON.stringify(report));
"""


@pytest.fixture(scope="module")
def readers() -> Path:
    """A folder with both readers in its node_modules, installed once into the cache."""
    if not (_READERS / "node_modules" / "m3u8-parser").is_dir():
        _READERS.mkdir(parents=True, exist_ok=True)
        try:
            run_npm(*find_node(), "install", "--silent", "--no-audit", "--no-fund", *_PACKAGES, cwd=_READERS)
        except LauncherError as err:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"the npm registry is out of reach: {err}")
    return _READERS


async def test_independent_readers_find_no_fault_and_agree(readers: Path, tmp_path: Path) -> None:
    async for _ in package(clip("cat"), tmp_path / "out"):
        pass
    playlists = sorted((tmp_path / "out").glob("*.m3u8"))
    script = readers / "read.cjs"
    script.write_text(_SCRIPT)
    command = [str(find_node()[0]), str(script), *map(str, playlists)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1500:]
    report = json.loads(done.stdout)
    assert set(report) == {playlist.name for playlist in playlists}
    for name, read in report.items():
        assert read["isMaster"] == (name == "master.m3u8")
        assert [warning for warning in read["warnings"] if "BYTERANGE" in warning] == [], name
        if name == "master.m3u8":
            assert read["variants"] == read["otherVariants"]
            assert [uri for uri, _, _ in read["variants"]] == ["360p.m3u8"]
        else:
            assert read["segments"] == read["otherSegments"]
            assert len(read["segments"]) >= 3
