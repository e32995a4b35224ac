"""The packager: any phone's video becomes a fast-starting adaptive stream. An engine, usable as a library.

Path of a job:
1. `package()` (engine.py) opens the source, starts the encoder child and relays its events.
2. The child (encoder/main.py) raises its walls (sandbox/), then sees the file only through a descriptor.
3. sniff.py names the one demuxer allowed; encoder/survey.py checks the limits and reads every packet's time.
4. sound/, beside the pictures: measure the whole track, then level it to -14 LUFS and encode AAC once for all rungs.
5. encoder/session.py, first lane: decode -> 360p, stills and analysis frames; playlists; `Playable`.
6. encoder/upper_lane.py, at low priority: the same pictures (spool.py), or decoded again -> the other rungs (wave.py).
7. mp4/ writes one fragmented file per rung, hls/ its playlists; all are read back, then renamed into place.
8. `Completed` carries the manifest; on any error the child dies and nothing unfinished has a final name.
"""

from typing import TYPE_CHECKING

from packager.edits import NO_EDITS, Edits
from packager.errors import PackagingFailed, Refusal, RefusedInput
from packager.events import (
    Analysis,
    Completed,
    Event,
    FileGrew,
    FileReady,
    Playable,
    Probed,
    Progress,
    RungReady,
    SandboxReport,
    SoundPrepared,
    SourceInfo,
)
from packager.limits import Limits

if TYPE_CHECKING:
    from packager.engine import package, prepare_sound

__all__ = [
    "NO_EDITS",
    "Analysis",
    "Completed",
    "Edits",
    "Event",
    "FileGrew",
    "FileReady",
    "Limits",
    "PackagingFailed",
    "Playable",
    "Probed",
    "Progress",
    "Refusal",
    "RefusedInput",
    "RungReady",
    "SandboxReport",
    "SoundPrepared",
    "SourceInfo",
    "package",
    "prepare_sound",
]


def __getattr__(name: str) -> object:
    """The engine is loaded when it is asked for: the encoder child needs neither it nor asyncio."""
    if name in ("package", "prepare_sound"):
        from packager import engine

        return getattr(engine, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
