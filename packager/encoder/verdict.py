"""Runs a session and turns whatever ends it into one message for the parent."""

from __future__ import annotations

import errno
from typing import Protocol

import av.error

from packager.encoder.halt import NoThread
from packager.errors import PackagingFailed, RefusedInput
from packager.events import Broke, Refused

# Besides Python itself, x264 (AVERROR_EXTERNAL) and thread creation fail when the address space is used up.
_WANT_OF_MEMORY = (MemoryError, av.error.ExternalError, NoThread)


class Runnable(Protocol):
    """A session: `run` blocks until it is done and reports its success itself."""

    def run(self) -> None: ...


def run_session(session: Runnable) -> Refused | Broke | None:
    """None when the session said Completed itself. Our own bugs pass, with their traceback."""
    try:
        session.run()
    except RefusedInput as err:
        return Refused(code=err.code, detail=err.detail)
    except PackagingFailed as err:
        return Broke(code=err.code, detail=err.detail)
    except _WANT_OF_MEMORY:
        return Broke(code="memory", detail="the clip needs more memory than the encoder may have")
    except OSError as err:
        if err.errno == errno.EFBIG:  # Python ignores SIGXFSZ, so the limit shows as an error
            return Broke(code="output-limit", detail="the result is larger than allowed")
        if err.errno in (errno.ENOSPC, errno.EDQUOT):
            return Broke(code="disk-full", detail="the scratch disk is full")
        raise
    return None
