"""What `popreel package IN OUTDIR` runs; the command itself lives in popreel/."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from foundation.errors import BadInput
from foundation.wire.media import MediaManifest
from packager.edits import NO_EDITS, Edits
from packager.engine import package
from packager.errors import PackagingFailed
from packager.events import Completed, Event
from packager.limits import Limits


def read_edits(text: str) -> Edits:
    """Edits from JSON, or from the file named after an @: '{"speed": 2}', '@edits.json'. Raises BadInput."""
    try:
        data = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
        return msgspec.json.decode(data, type=Edits)
    except OSError as err:
        raise BadInput(f"cannot read the edits: {err}") from err
    except msgspec.MsgspecError as err:
        raise BadInput(f'the edits are not understood: {err}. Example: {{"trimStartMs": 500, "speed": 1.5}}') from err


async def package_to_folder(
    source: Path,
    out_dir: Path,
    edits: Edits = NO_EDITS,
    on_event: Callable[[Event], None] = lambda event: None,
    *,
    limits: Limits = Limits(),  # noqa: B008  # frozen
    deadline_s: float = 1800.0,
    sound: Path | None = None,
    partner: Path | None = None,
) -> MediaManifest:
    """Package a file into `out_dir` (master.m3u8 and all it names). Raises RefusedInput or PackagingFailed.

    `on_event` is called for every event on the loop's thread; keep it quick (a progress bar).
    """
    events = package(source, out_dir, edits=edits, limits=limits, deadline_s=deadline_s, sound=sound, partner=partner)
    manifest: MediaManifest | None = None
    async for event in events:
        on_event(event)
        if isinstance(event, Completed):
            manifest = event.manifest
    if manifest is not None:
        return manifest
    raise PackagingFailed("internal", "the encoder ended without a result")
