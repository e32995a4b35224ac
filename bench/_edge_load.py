"""What the edge bench asks for: objects, requests, and the wrk scripts that send them.

A workload is what is fetched (`2kB`, `200kB`, `1MB`, `mixed`) and, as a suffix, who asks:

(none)      one head, repeated byte for byte; `mixed` draws one of a few hundred heads
-viewers    1000 viewers, each with a token and a header block of its own; any connection carries any viewer's request,
            as behind a terminator. What is asked for is another object each time; in `mixed`, ranges of clips and
            playlists, and CMCD fields that change with every request, as the web player sends them
-new        no head is like another: one header field is new in each

All servers get the same requests, except that only the edge's paths have tokens (which only the edge checks).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foundation.tokens.media import sign

KEYS = {"k1": b"bench key of no use elsewhere"}
MIXED_VIDEOS = 64
VIEWERS = 1_000
PREFIX = "/videos/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    size: int
    kind: str
    count: int
    """Asked for by the viewers; the other workloads ask for the first."""

    def name(self, number: int) -> str:
        return f"o{self.size}-{number}.{self.kind}"


OBJECTS = {
    "2kB": Objects(size=2_000, kind="m3u8", count=1_000),
    "200kB": Objects(size=200_000, kind="mp4", count=250),
    "1MB": Objects(size=1_000_000, kind="mp4", count=50),
}
WHAT = (*OBJECTS, "mixed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    what: str
    who: str

    @property
    def name(self) -> str:
        return f"{self.what}-{self.who}" if self.who else self.what


def workload(name: str) -> Workload:
    """Raises SystemExit for a name that is none."""
    what, _, who = name.partition("-")
    if what not in WHAT or who not in ("", "viewers", "new") or (what, who) == ("mixed", "new"):
        raise SystemExit(f"no workload {name!r}: {', '.join(WHAT)}, with -viewers or -new behind (no mixed-new)")
    return Workload(what=what, who=who)


def make_files(root: Path) -> None:
    """The objects of all workloads under {root}/videos/."""
    videos = root / PREFIX.strip("/")
    videos.mkdir(parents=True)
    for objects in OBJECTS.values():
        for number in range(objects.count):
            (videos / objects.name(number)).write_bytes(os.urandom(objects.size))
    for number in range(MIXED_VIDEOS):
        (videos / f"clip{number}.mp4").write_bytes(os.urandom(600_000 + 17_000 * number))
        (videos / f"clip{number}.m3u8").write_bytes(os.urandom(1_800))


def lead(viewer: int, *, signed: bool) -> str:
    """Where a viewer's paths begin: with its token, if the server wants one."""
    if not signed:
        return PREFIX
    return f"/t/{sign(PREFIX, expires_s=int(time.time()) + 3600 + viewer, kid='k1', keys=KEYS)}{PREFIX}"


def paths(load: Workload, *, signed: bool) -> Iterator[str]:
    """Everything the workload asks for."""
    start = lead(0, signed=signed)
    if load.what == "mixed":
        for number in range(MIXED_VIDEOS):
            yield from (f"{start}clip{number}.mp4", f"{start}clip{number}.m3u8")
        return
    objects = OBJECTS[load.what]
    for number in range(objects.count if load.who == "viewers" else 1):
        yield start + objects.name(number)


# -- wrk scripts -----------------------------------------------------------------------------------------------------


def lua(load: Workload, *, signed: bool) -> str:
    """The script for wrk, "" if it needs none."""
    if load.who == "viewers":
        viewers = _lua_viewers(load, signed=signed)
        if load.what == "mixed":
            return _MIXED_VIEWERS % (viewers, MIXED_VIDEOS)
        objects = OBJECTS[load.what]
        return _VIEWERS % (viewers, objects.count - 1)
    if load.who == "new":
        return _EACH_NEW
    return _MIXED % (lead(0, signed=signed), MIXED_VIDEOS) if load.what == "mixed" else ""


_MIXED = """
local base = "%s"
math.randomseed(7)
request = function()
  local n = math.floor(%d * math.random() ^ 3)            -- a few clips are watched most
  local r = math.random()
  if r < 0.25 then return wrk.format("GET", base .. "clip" .. n .. ".m3u8") end
  local path = base .. "clip" .. n .. ".mp4"
  if r < 0.65 then return wrk.format("GET", path, {["Range"] = "bytes=0-149999"}) end   -- the start
  local from = 150000 + 150000 * math.floor(3 * math.random())
  return wrk.format("GET", path, {["Range"] = "bytes=" .. from .. "-" .. (from + 149999)})
end
"""

_EACH_NEW = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", nil, {["X-Request-Id"] = n})
end
"""

_VIEWERS = """
local viewers = {%s}
math.randomseed(7)
request = function()
  local viewer = viewers[math.random(#viewers)]
  return viewer[1] .. math.random(0, %d) .. viewer[2]
end
"""

_MIXED_VIEWERS = """
local viewers = {%s}
local videos = %d
math.randomseed(7)
local random, floor = math.random, math.floor
request = function()
  local viewer = viewers[random(#viewers)]
  local n, r = floor(videos * random() ^ 3), random()
  local start = viewer[1] .. "clip" .. n
  local playing = "\\r\\nCMCD-Request: bl=" .. 100 * random(0, 80) .. ",mtp=" .. 100 * random(20, 200)
  if r < 0.25 then
    return start .. ".m3u8" .. viewer[2] .. playing .. "\\r\\nCMCD-Object: ot=m\\r\\n\\r\\n"
  end
  local object = "\\r\\nCMCD-Object: br=1500,d=" .. random(800, 4000) .. ",ot=av,tb=2500"
  if r < 0.65 then
    return start .. ".mp4" .. viewer[2] .. playing .. ",su" .. object .. "\\r\\nRange: bytes=0-149999\\r\\n\\r\\n"
  end
  local from = 150000 + 150000 * random(0, 2)
  local range = "\\r\\nRange: bytes=" .. from .. "-" .. (from + 149999) .. "\\r\\n\\r\\n"
  return start .. ".mp4" .. viewer[2] .. playing .. object .. range
end
"""

_SPELLINGS = ("gzip, deflate, br", "gzip, deflate, br, zstd", "gzip", "gzip,deflate", "identity")


def _lua_viewers(load: Workload, *, signed: bool) -> str:
    """Lua rows {what a viewer's requests begin with, what follows the object}."""
    is_mixed = load.what == "mixed"
    rows: list[str] = []
    for number in range(VIEWERS):
        start = f"GET {lead(number, signed=signed)}" + (
            "" if is_mixed else OBJECTS[load.what].name(0).partition("-")[0] + "-"
        )
        fields = [
            " HTTP/1.1" if is_mixed else f".{OBJECTS[load.what].kind} HTTP/1.1",
            "Host: edge.example",
            f"User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_{number % 7} like Mac OS X) Version/17.{number % 10}",
            "Accept: */*",
            "Accept-Language: de-CH,de;q=0.9,en;q=0.8",
            f"Accept-Encoding: {_SPELLINGS[number % len(_SPELLINGS)]}",
            "Referer: https://site.example/",
        ]
        if is_mixed:
            fields.append(f'CMCD-Session: cid="v{number % 97}",sf=h,sid="{number:032x}",st=v')
        else:
            fields += [f"X-Playback-Session-Id: {number:032x}", "", ""]
        row = json.dumps([start, "\r\n".join(fields)])  # strings are written alike in JSON and Lua
        rows.append("{" + row[1:-1] + "}")
    return ", ".join(rows)
