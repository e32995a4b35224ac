"""Entry of the encoder child: `python -P -m packager.encoder.main`, started by packager.engine alone.

Protocol: one JSON job on stdin, then JSON lines (packager.events) on the descriptor that was stdout; whatever libraries
print goes to stderr. The source is an inherited descriptor; the working directory is out_dir.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import msgspec

from packager.encoder.job import Job
from packager.errors import PackagingFailed, RefusedInput
from packager.events import Broke, ChildMessage, Refused
from packager.sandbox.walls import leave_network, raise_walls, tie_to_parent


class Outbox:
    """Writes messages as lines; may be called from several threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()  # keeps lines whole

    def emit(self, message: ChildMessage) -> None:
        line = memoryview(msgspec.json.encode(message) + b"\n")
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]


def main() -> int:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    outbox = Outbox(os.dup(1))
    os.dup2(2, 1)
    tie_to_parent(job.parent_pid)
    offline = leave_network()
    tie_to_parent(job.parent_pid)  # again: a change of credentials clears the signal
    from packager.encoder.scene import Inputs
    from packager.encoder.session import Session  # heavy: loaded after the network is gone, before the walls

    outbox.emit(raise_walls(out_dir=Path(job.out_dir), limits=job.limits, cpu_seconds=job.cpu_seconds, offline=offline))
    try:
        Session(
            Inputs(source=job.source_fd, sound=job.sound_fd, partner=job.partner_fd),
            Path(job.out_dir),
            edits=job.edits,
            limits=job.limits,
            revision=job.revision,
            emit=outbox.emit,
        ).run()
    except RefusedInput as err:
        outbox.emit(Refused(code=err.code, detail=err.detail))
    except PackagingFailed as err:
        outbox.emit(Broke(code=err.code, detail=err.detail))
    except MemoryError:
        outbox.emit(Broke(code="memory", detail="the clip needs more memory than the encoder may have"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
