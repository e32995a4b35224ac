"""From catalogue and event log to a release that a PoP loads: real simulated viewers, real files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from foundation.errors import BadInput, PopreelError
from foundation.wire.catalogue import CatalogueItem, Counters
from foundation.wire.events import WatchEvent, WatchReport
from inference.feed.model import FIRST_MODEL, FeedModel, load
from inference.feed.recommender import Pick
from inference.feed.watch_quantile import default_quantiles
from inference.simulation.policies import Ours
from inference.simulation.run import RunPlan, run
from inference.simulation.world import Reaction, World
from inference.training.event_log import EventLog, LogReplay, read_log
from inference.training.impressions import ImpressionLog
from inference.training.parquet import write_events
from inference.training.release import main, make_release
from tests import catalogue_items

PLAN = RunPlan(start_videos=300, uploads=30, most_pages=12, waves=1)


def item_of(world: World, row: int, published_s: float) -> CatalogueItem:
    return catalogue_items.video(
        row + 1,
        creator=catalogue_items.creator(int(world.videos.creator[row])),
        vector=world.videos.vectors[row],
        published_s=published_s,
        duration_ms=int(world.videos.duration_s[row] * 1000),
    )


@pytest.fixture(scope="module")
def log_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A few thousand events of simulated viewers under a plain policy, as the origin would export them."""
    world = World(videos=330, viewers=90, seed=5, quantiles=default_quantiles())
    policy = Ours(FeedModel(name="x"), viewers=90, blend_random=0.3)
    events: list[WatchEvent] = []

    def on_watch(viewer: int, pick: Pick, reaction: Reaction, now_s: float) -> None:
        report = WatchReport(
            video_id=str(pick.video_id),
            watch_duration=int(reaction.watched_s * 1000),
            total_duration=int(world.videos.duration_s[pick.video_id - 1] * 1000),
            liked=reaction.liked,
            shared=reaction.shared,
        )
        events.append(
            WatchEvent(
                event_id=str(len(events)),
                viewer=f"d:{viewer}",
                pop_id="p",
                received_at_ms=int(now_s * 1000),
                report=report,
            )
        )

    run(world, policy, plan=PLAN, seed=6, on_watch=on_watch)
    columns = policy.columns
    items = [item_of(world, row, float(columns.published_s[columns.row_of[row + 1]])) for row in range(330)]
    folder = tmp_path_factory.mktemp("log")
    (folder / "items.ndjson").write_bytes(
        b'{"seq":9,"count":330}\n' + b"\n".join(map(msgspec.json.encode, items)) + b"\n"
    )
    (folder / "events.ndjson").write_bytes(b"\n".join(map(msgspec.json.encode, [*events, *events[:50]])) + b"\n")
    return folder / "items.ndjson", folder / "events.ndjson"


def test_a_release_is_made_judged_and_written_only_when_it_passes(log_files: tuple[Path, Path], tmp_path: Path) -> None:
    log = read_log(catalogue=log_files[0], events=log_files[1])
    assert len({event.event_id for event in log.events}) == len(log.events) > 2000
    release = make_release(log, out=tmp_path / "a", current=FeedModel(name="none"), space="content-1")
    against_shipped = make_release(log, out=tmp_path / "b", current=load(FIRST_MODEL), space="content-1")
    assert release.name == against_shipped.name  # the same log and seed: the same files
    assert release.report.onnx_difference < 1e-4
    assert against_shipped.report.xgauc_before is not None
    for made, folder in ((release, "a"), (against_shipped, "b")):
        assert (made.directory is None) == bool(made.report.failures)
        assert (tmp_path / folder / made.name).exists() == (made.directory is not None)
        if made.directory is not None:
            model = load(made.directory)
            assert model.ranker is not None
            assert len(model.item_to_item.video_ids) > 50


def test_training_sees_neither_later_events_nor_the_totals_of_today(log_files: tuple[Path, Path]) -> None:
    log, past = read_log(catalogue=log_files[0], events=log_files[1]), 500
    totals = Counters(views=10**6, likes=10**5, shares=10**4)
    famous = {video_id: msgspec.structs.replace(item, counters=totals) for video_id, item in log.items.items()}
    later = [event.received_at_ms for event in log.events[past:]]
    reversed_after = [
        msgspec.structs.replace(event, received_at_ms=at_ms)
        for event, at_ms in zip(reversed(log.events[past:]), later, strict=True)
    ]
    other = EventLog(items=famous, events=(*log.events[:past], *reversed_after))

    def inputs(of: EventLog) -> NDArray[np.float32]:
        into = ImpressionLog()
        LogReplay(of, model=FeedModel(name="x"), space="content-1").play(of.share(0, 0.5), into)
        return into.impressions().x

    found, changed = inputs(log), inputs(other)
    assert min(len(found), len(changed)) > past
    assert (found[:past] == changed[:past]).all()
    assert (found[past : past + 100] != changed[past : past + 100]).any()


def test_a_log_survives_parquet_unchanged(log_files: tuple[Path, Path], tmp_path: Path) -> None:
    parquet = tmp_path / "events.parquet"
    lines = log_files[1].read_bytes().count(b"\n")
    assert write_events(log_files[1], parquet) == lines
    assert parquet.stat().st_size < log_files[1].stat().st_size / 5
    through = read_log(catalogue=log_files[0], events=parquet)
    assert sorted(through.events, key=lambda e: e.event_id) == sorted(
        read_log(catalogue=log_files[0], events=log_files[1]).events, key=lambda e: e.event_id
    )
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 no")
    with pytest.raises(BadInput, match="broken"):
        read_log(catalogue=log_files[0], events=broken)
    (tmp_path / "bad.ndjson").write_text('{"eventId": 3, "report": 7}\n')
    with pytest.raises(BadInput, match=r"bad\.ndjson"):
        write_events(tmp_path / "bad.ndjson", tmp_path / "never.parquet")


def test_too_small_a_log_and_a_damaged_line_say_so(log_files: tuple[Path, Path], tmp_path: Path) -> None:
    short = tmp_path / "short.ndjson"
    short.write_bytes(b"\n".join(log_files[1].read_bytes().split(b"\n")[:100]))
    log = read_log(catalogue=log_files[0], events=short)
    with pytest.raises(PopreelError, match="needs 2000"):
        make_release(log, out=tmp_path, current=FeedModel(name="n"), space="content-1")
    short.write_bytes(b'{"eventId": 3}\n')
    with pytest.raises(BadInput, match=r"short\.ndjson line 1"):
        read_log(catalogue=log_files[0], events=short)
    assert main(["--catalogue", str(log_files[0]), "--events", str(short), "--out", str(tmp_path)]) == 1
