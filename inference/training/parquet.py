"""The event log as Parquet: one flat row an event, which any tool for data reads, and `read_log` too.

DuckDB writes and reads it (extra `train`): one wheel without dependencies of its own, half the size of pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from foundation.errors import BadInput, Unavailable
from foundation.wire.events import WatchEvent

_AT_ONCE = 10_000
_WRITE = """
copy (
    select eventId as event_id, viewer, popId as pop_id, epoch_ms(receivedAtMs) as received_at,
        report.videoId::bigint as video_id, report.watchDuration as watch_ms, report.totalDuration as total_ms,
        report.liked as liked, report.commented as commented, report.shared as shared,
        report.followedCreator as followed_creator, report.notInterested as not_interested,
        report.source as source, report.deviceType as device_type, report.sessionId as session_id,
        report.impression as impression, report.startTimeMs as start_time_ms, report.rebuffers as rebuffers
    from read_json($events, format = 'newline_delimited', columns = {
        eventId: 'VARCHAR', viewer: 'VARCHAR', popId: 'VARCHAR', receivedAtMs: 'BIGINT',
        report: 'STRUCT(videoId VARCHAR, watchDuration BIGINT, totalDuration BIGINT, liked BOOLEAN, commented BOOLEAN,
            shared BOOLEAN, followedCreator BOOLEAN, notInterested BOOLEAN, source VARCHAR, deviceType VARCHAR,
            sessionId VARCHAR, impression VARCHAR, startTimeMs BIGINT, rebuffers INTEGER)'})
    order by receivedAtMs
) to '{file}' (format parquet, compression zstd)"""
_READ = """
select event_id as eventId, viewer, pop_id as popId, epoch_ms(received_at) as receivedAtMs,
    {'videoId': video_id::varchar, 'watchDuration': watch_ms, 'totalDuration': total_ms, 'liked': liked,
    'commented': commented, 'shared': shared, 'followedCreator': followed_creator, 'notInterested': not_interested,
    'source': source, 'deviceType': device_type, 'sessionId': session_id, 'impression': impression,
    'startTimeMs': start_time_ms, 'rebuffers': rebuffers} as report
from read_parquet($file) order by received_at"""


def write_events(ndjson: Path, parquet: Path) -> int:
    """One row per line of WatchEvents; how many. Blocking. Raises BadInput (a damaged line), Unavailable (no
    DuckDB)."""
    duckdb = _duckdb()
    target = str(parquet).replace("'", "''")
    try:
        with duckdb.connect() as connection:
            connection.execute(_WRITE.replace("{file}", target), {"events": str(ndjson)})
            found = connection.execute("select count(*) from read_parquet($file)", {"file": str(parquet)}).fetchone()
    except duckdb.Error as err:
        raise BadInput(f"{ndjson.name} does not become Parquet: {err}") from err
    return int(found[0]) if found else 0


def read_events(parquet: Path) -> Iterator[WatchEvent]:
    """In time order, in constant memory. Raises BadInput, Unavailable."""
    duckdb = _duckdb()
    try:
        with duckdb.connect() as connection:
            found = connection.execute(_READ, {"file": str(parquet)})
            names = [column[0] for column in found.description]
            while rows := found.fetchmany(_AT_ONCE):
                for row in rows:
                    yield _event(dict(zip(names, row, strict=True)))
    except (duckdb.Error, msgspec.ValidationError) as err:
        raise BadInput(f"{parquet.name} is not an event log: {err}") from err


def _event(row: dict[str, Any]) -> WatchEvent:
    """An absent field is its default, as in JSON."""
    row["report"] = {name: value for name, value in row["report"].items() if value is not None}
    return msgspec.convert(row, WatchEvent)


def _duckdb() -> Any:
    try:
        import duckdb
    except ModuleNotFoundError as err:
        raise Unavailable("Parquet needs DuckDB: pip install 'popreel[train]', or use NDJSON") from err
    return duckdb
