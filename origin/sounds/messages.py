"""Bodies and replies of the sound routes."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from foundation.wire import Wire
from origin.pages import Cursor
from origin.sounds.sound_store import LibrarySound, SoundState


class SoundQuery(Wire, frozen=True, kw_only=True):
    q: Annotated[str, Meta(max_length=100)] = ""
    limit: Annotated[int, Meta(ge=1, le=50)] = 20
    cursor: Cursor = ""


class SoundView(Wire, frozen=True, kw_only=True):
    id: str
    title: str
    artist: str
    duration_ms: int
    use_count: int
    state: str
    """Of its file: absent, processing, ready, failed. Only a ready sound can be heard and mixed."""
    audio_url: str | None = None
    """Where it can be heard, once it is ready."""
    video_id: str | None = None
    """The video whose own sound this is."""
    reason: str | None = None
    """Why the file sent last could not be used."""


class SoundPage(Wire, frozen=True, kw_only=True):
    sounds: tuple[SoundView, ...]
    next_cursor: str | None = None


class NewSound(Wire, frozen=True, kw_only=True):
    title: Annotated[str, Meta(min_length=1, max_length=150)]
    artist: Annotated[str, Meta(max_length=150)] = ""
    duration_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 0
    """Of a sound without a file; the file's own length replaces it."""
    licence: Literal["free", "licensed", "restricted"] = "free"


def sound_view(sound: LibrarySound) -> SoundView:
    ready = sound.state is SoundState.READY
    return SoundView(
        id=str(sound.id),
        title=sound.title,
        artist=sound.artist,
        duration_ms=sound.duration_ms,
        use_count=sound.uses,
        state=str(sound.state),
        audio_url=f"/api/v1/sounds/{sound.id}/audio" if ready else None,
        video_id=str(sound.source_video_id) if sound.source_video_id is not None else None,
        reason=sound.error,
    )
