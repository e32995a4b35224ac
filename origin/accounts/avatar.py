"""What an avatar is: its sizes, its names, where it lies and how its answers are labelled. Pure.

A name is drawn anew for every picture sent, so its bytes never change, and whoever replaces a picture removes exactly
the one that was replaced.
"""

from __future__ import annotations

import re

import msgspec
import xxhash

from foundation.ids import UserId

SMALL, LARGE = 128, 384
"""Edges in pixels: lists and the feed's rail (48 CSS px on a dense screen), and the head of a profile."""
SIZES = (SMALL, LARGE)
MAX_BYTES = 8 * 1024 * 1024
MAX_PIXELS = 50_000_000
"""Of the picture sent: what a phone's camera makes, not what a decompression bomb unfolds to."""
_FILE = re.compile(r"[0-9a-f]{16}-(?:128|384)\.webp")


class PictureVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The picture child's answer: either `files` (WebP by edge in pixels) or why the picture is refused."""

    files: dict[int, bytes] = msgspec.field(default_factory=dict)
    refused: str = ""


def file_name(key: str, size: int) -> str:
    return f"{key}-{size}.webp"


def key_of(file: str) -> str | None:
    """The key in a file's name; None for any other name."""
    return file[:16] if _FILE.fullmatch(file) else None


def avatar_url(user_id: UserId, key: str | None, *, size: int) -> str | None:
    """Root-relative; None without an avatar: the app draws its placeholder."""
    return f"/avatars/{user_id}/{file_name(key, size)}" if key else None


def avatar_prefix(user_id: UserId) -> str:
    """Folder in the object store; two hex of a hash spread prefixes, as for videos."""
    return f"avatars/{xxhash.xxh3_64_intdigest(user_id.to_bytes(8, 'big')) >> 56:02x}/{user_id}/"


def avatar_tag(user_id: UserId) -> str:
    """Cache group of one person's avatars."""
    return f"avatar-{user_id}"
