"""Which session a job asks for. Imports all that any of them needs, so that the walls can go up behind it."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from packager.encoder.job import ClipJob, Job, SoundJob
from packager.encoder.scene import Inputs
from packager.encoder.session import Emit, Session
from packager.encoder.sound_session import SoundSession


def session_of(job: Job, *, emit: Emit, assembly: str) -> Session | SoundSession:
    out_dir = Path(job.out_dir)
    match job:
        case ClipJob():
            return Session(
                Inputs(source=job.source_fd, sound=job.sound_fd, partner=job.partner_fd),
                out_dir,
                edits=job.edits,
                limits=job.limits,
                revision=job.revision,
                assembly=assembly,
                emit=emit,
            )
        case SoundJob():
            return SoundSession(job.source_fd, out_dir, limits=job.limits, emit=emit)
        case _:
            assert_never(job)
