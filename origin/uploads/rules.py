"""What may be uploaded, and how it is cut into parts. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from foundation.errors import BadInput
from origin.errors import DurationRefused, FileTooLarge

_HASHTAG = re.compile(r"\w{1,50}")
HASHTAG_PATTERN = r"^\s*#*\w{0,50}\s*$"
MAX_HASHTAGS = 30
FILENAME_PATTERN = r"^[^/]*[^/\s\u0000-\u001f][^/]*$"
_FILENAME = re.compile(FILENAME_PATTERN)
KEY_PATTERN = r"^[\x21-\x7e]+$"
"""Idempotency keys and ids that clients make: visible ASCII."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRules:
    max_file_bytes: int
    min_duration_ms: int
    max_duration_ms: int
    chunk_bytes: int

    def check(self, *, filename: str, size: int, duration_ms: int | None) -> None:
        """Raises BadInput, FileTooLarge, DurationRefused: everything we can say before a byte is sent."""
        if not _FILENAME.search(filename):
            raise BadInput("filename: give the name of the file, without folders")
        if size <= 0:
            raise BadInput("filesize: the file is empty")
        if size > self.max_file_bytes:
            raise FileTooLarge(
                f"the file has {size} bytes, at most {self.max_file_bytes} are taken", maxBytes=self.max_file_bytes
            )
        if duration_ms is not None and not self.min_duration_ms <= duration_ms <= self.max_duration_ms:
            raise DurationRefused(
                f"clips last {self.min_duration_ms / 1000:g} to {self.max_duration_ms / 1000:g} s,"
                f" this one {duration_ms / 1000:g} s",
                minMs=self.min_duration_ms,
                maxMs=self.max_duration_ms,
            )

    def part_count(self, size: int) -> int:
        return -(-size // self.chunk_bytes)

    def part_size(self, size: int, number: int) -> int:
        """Bytes part `number` (from 1) must have. Raises BadInput for a number the file does not reach."""
        count = self.part_count(size)
        if not 1 <= number <= count:
            raise BadInput(f"part: parts of this file are numbered 1 to {count}")
        return self.chunk_bytes if number < count else size - (count - 1) * self.chunk_bytes


def clean_hashtags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Lower case, without '#', each once, in order. Raises BadInput."""
    cleaned = dict.fromkeys(tag.strip().lstrip("#").lower() for tag in tags)
    cleaned.pop("", None)
    if len(cleaned) > MAX_HASHTAGS:
        raise BadInput(f"hashtags: at most {MAX_HASHTAGS}")
    for tag in cleaned:
        if not _HASHTAG.fullmatch(tag):
            raise BadInput(f"hashtags: {tag[:60]!r} is not one: letters, digits and '_', at most 50")
    return tuple(cleaned)
