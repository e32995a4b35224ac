"""Entry of the encoder child: `python -P -m packager.encoder.main`, started by packager.engine alone.

Protocol: one JSON job on stdin, then JSON lines (packager.events) on the descriptor that was stdout; whatever libraries
print goes to stderr. The source is an inherited descriptor; the working directory is out_dir.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from packager.encoder.job import Job
from packager.encoder.outbox import Outbox
from packager.encoder.standing import Standing
from packager.sandbox.walls import leave_network, raise_walls, tie_to_parent


def main() -> int:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    outbox = Outbox(os.dup(1))
    os.dup2(2, 1)
    tie_to_parent(job.parent_pid)
    offline = leave_network()
    tie_to_parent(job.parent_pid)  # again: a change of credentials clears the signal
    # Heavy imports: after the network is gone (that needs a single thread), before the walls (that hide other files).
    from packager.encoder.assembly import assembly, processor_features
    from packager.encoder.sessions import session_of
    from packager.encoder.verdict import run_session

    standing = Standing(outbox)
    instructions = assembly(processor_features())
    out_dir = Path(job.out_dir)
    outbox.emit(raise_walls(out_dir=out_dir, limits=job.limits, cpu_seconds=job.cpu_seconds, offline=offline))
    verdict = run_session(session_of(job, emit=standing.emit, assembly=instructions))
    if verdict is not None:
        outbox.emit(verdict)
    return 0


if __name__ == "__main__":
    code = main()
    # Files are closed, messages are sent: taking down the interpreter and its memory would only hold up the result.
    os._exit(code)
