"""Hands a test's settings to a process it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from foundation.settings import Secret
from origin.settings import OriginSettings


def save(settings: OriginSettings, path: Path) -> Path:
    path.write_bytes(msgspec.msgpack.encode(settings, enc_hook=str))
    return path


def load(path: Path) -> OriginSettings:
    def special(kind: type, value: Any) -> Any:
        return Secret(value) if kind is Secret else Path(value)

    return msgspec.msgpack.decode(path.read_bytes(), type=OriginSettings, dec_hook=special)
