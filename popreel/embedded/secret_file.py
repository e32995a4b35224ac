"""Files only their owner may read, replaced atomically."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write `text` with mode 0600 through a rename, so that no reader sees half of it or wider permissions."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.unlink(missing_ok=True)
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    scratch.replace(path)


def read_or_make(path: Path, *, entropy_bytes: int = 24) -> str:
    """The secret in `path`, generated (URL-safe) on first use."""
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        secret = secrets.token_urlsafe(entropy_bytes)
        write_private(path, secret)
        return secret
