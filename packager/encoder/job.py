"""The job as it crosses from parent to child. Imports nothing heavy: both sides load it."""

from __future__ import annotations

import msgspec

from packager.edits import Edits
from packager.limits import Limits


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What every job of the child has. `source_fd` is inherited; `out_dir` is all it may write to."""

    parent_pid: int
    source_fd: int
    out_dir: str
    limits: Limits
    cpu_seconds: int


class ClipJob(Task, frozen=True, kw_only=True, tag="clip"):
    """Package a video."""

    sound_fd: int | None
    partner_fd: int | None
    revision: int
    edits: Edits


class SoundJob(Task, frozen=True, kw_only=True, tag="sound"):
    """Prepare a sound of the library."""


Job = ClipJob | SoundJob
