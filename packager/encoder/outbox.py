"""The child's way of talking to its parent."""

from __future__ import annotations

import os
import threading

import msgspec

from packager.events import ChildMessage


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
