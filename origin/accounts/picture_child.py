"""Entry of the picture child: `python -P -m origin.accounts.picture_child PARENT_PID`, started by pictures.py alone.

The picture comes on stdin, a `PictureVerdict` goes to stdout as MessagePack. It is decoded behind the walls of the
packager's sandbox: no network, no files but code, bounded memory and processor time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from origin.accounts.avatar import MAX_BYTES, SIZES
from packager.limits import Limits
from packager.sandbox.walls import leave_network, raise_walls, tie_to_parent

_MEMORY_BYTES = 1 << 30
"""Address space: 50 million pixels of RGBA are 200 MB, and twice that while they are turned."""
_CPU_S = 10


def main() -> int:
    parent = int(sys.argv[1])
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what libraries print is no answer
        tie_to_parent(parent)
        offline = leave_network()
        tie_to_parent(parent)  # again: a change of credentials clears the signal
        # Heavy imports: after the network is gone (that needs a single thread), before the walls (that hide files).
        from PIL import Image

        from origin.accounts.picture import judge

        Image.init()  # every decoder is loaded now
        limits = Limits(memory_bytes=_MEMORY_BYTES, max_output_bytes=0)
        raise_walls(out_dir=Path("/nonexistent"), limits=limits, cpu_seconds=_CPU_S, offline=offline)
        out.write(msgspec.msgpack.encode(judge(sys.stdin.buffer.read(MAX_BYTES + 1), SIZES)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
