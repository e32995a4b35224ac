"""A finished job: its folder, events in order, and the state of the folder checked at each of them."""

from __future__ import annotations

from pathlib import Path

from foundation.wire.media import MediaManifest
from packager import Completed, Event, package
from tests.integration.packager.reading import check_names_only_final_bytes


class Packaged:
    """`events` of one job in the order they came."""

    def __init__(self, out_dir: Path) -> None:
        self.out_dir = out_dir
        self.events: list[Event] = []

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def manifest(self) -> MediaManifest:
        last = self.events[-1]
        assert isinstance(last, Completed)
        return last.manifest


async def packaged(source: Path, out_dir: Path, **options: object) -> Packaged:
    job = Packaged(out_dir)
    async for event in package(source, out_dir, **options):  # type: ignore[arg-type]
        job.events.append(event)
        check_names_only_final_bytes(out_dir)
    return job
