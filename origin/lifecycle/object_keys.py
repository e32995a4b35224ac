"""Where the objects of a video or sound are.

`hh` spreads prefixes (S3 scales by prefix); a revision never changes once published.
"""

from __future__ import annotations

import xxhash


def _spread(video_id: int) -> str:
    return f"{xxhash.xxh3_64_intdigest(video_id.to_bytes(8, 'big')) >> 56:02x}"


def original_key(video_id: int, revision: int) -> str:
    return f"{originals_prefix(video_id)}r{revision}"


def original_revision(key: str) -> int:
    """The revision an original (or a tail of it) was uploaded for; 0 for any other key."""
    number = key.rpartition("/r")[2].partition(".")[0]
    return int(number) if "/r" in key and number.isdigit() else 0


def originals_prefix(video_id: int) -> str:
    return f"originals/{_spread(video_id)}/{video_id}/"


def video_prefix(video_id: int) -> str:
    return f"videos/{_spread(video_id)}/{video_id}/"


def revision_prefix(video_id: int, revision: int) -> str:
    return f"{video_prefix(video_id)}r{revision}/"


def sounds_prefix(sound_id: int) -> str:
    return f"sounds/{_spread(sound_id)}/{sound_id}/"


def sound_upload_key(sound_id: int, upload: int) -> str:
    """A file as the operator sent it, until it is prepared."""
    return f"{sounds_prefix(sound_id)}{upload}.upload"


def prepared_sound_key(upload_key: str) -> str:
    """Where the file made of that upload goes: another key for every upload, so bytes never change under a key."""
    return upload_key.removesuffix(".upload") + ".m4a"


def sound_upload_number(key: str) -> int:
    """The upload that an object of a sound belongs to; they are numbered in time order."""
    return int(key.rpartition("/")[2].partition(".")[0])


def captions_prefix(video_id: int) -> str:
    """Beside the revisions: a new file of the video keeps its captions."""
    return f"{video_prefix(video_id)}captions/"


def media_path(region: str, video_id: int) -> str:
    """Public folder of a video, root-relative, ends with a slash."""
    return f"/videos/{region}/{video_id}/"
