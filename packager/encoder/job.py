"""The job as it crosses from parent to child. Imports nothing heavy: both sides load it."""

from __future__ import annotations

import msgspec

from packager.edits import Edits
from packager.limits import Limits


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent asks of the child."""

    parent_pid: int
    source_fd: int
    sound_fd: int | None
    partner_fd: int | None
    out_dir: str
    revision: int
    edits: Edits
    limits: Limits
    cpu_seconds: int
