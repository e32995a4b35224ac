"""The packager's errors.

PopreelError
├── RequestError
│   └── UnsupportedMedia
│       └── RefusedInput       the file is not a video we take; never retried; `code` says which rule it broke
└── PackagingFailed            our side: the encoder crashed, ran out of time or space; another try can help
"""

from __future__ import annotations

from enum import StrEnum

from foundation.errors import PopreelError, UnsupportedMedia


class Refusal(StrEnum):
    """Why an input is refused. Stable: shown to uploaders, counted in metrics."""

    EMPTY = "empty"
    NOT_MEDIA = "not-media"
    PLAYLIST = "playlist"
    IMAGE = "image"
    CONTAINER = "container"
    DAMAGED = "damaged"
    NO_VIDEO = "no-video"
    CODEC = "codec"
    TOO_LARGE = "too-large"
    TOO_LONG = "too-long"
    TOO_SHORT = "too-short"
    TOO_MANY_PIXELS = "too-many-pixels"
    TOO_SMALL = "too-small"
    FRAME_RATE = "frame-rate"
    TOO_MANY_STREAMS = "too-many-streams"
    ENCRYPTED = "encrypted"
    EDITS = "edits"


class RefusedInput(UnsupportedMedia):
    """The input broke a rule. `code` is a `Refusal`, `detail` a sentence for the person who uploaded it."""

    retryable = False
    title = "This file cannot be used as a video"

    def __init__(self, code: Refusal, detail: str, /) -> None:
        super().__init__(detail, refusal=code.value)
        self.refusal = code
        self.code = code.value


class PackagingFailed(PopreelError):
    """Packaging broke on our side. `code`: "deadline", "crashed", "memory", "output-limit", "disk-full", "internal"."""

    retryable = True
    title = "Packaging failed"

    def __init__(self, code: str, detail: str, /) -> None:
        super().__init__(detail)
        self.code = code
