import io
import json
import logging
from collections.abc import Iterator

import pytest

from foundation.telemetry import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("tester", stream=stream)
    yield stream
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


def test_a_line_is_json_with_event_and_fields(stream: io.StringIO) -> None:
    logging.getLogger("x").info("upload %s done", 7, extra={"event": "upload_done", "video_id": "7", "path": object()})
    line = json.loads(stream.getvalue())
    assert (line["service"], line["event"], line["message"], line["video_id"]) == (
        "tester",
        "upload_done",
        "upload 7 done",
        "7",
    )
    assert line["time"].endswith("Z")


@pytest.mark.parametrize("field", ["access_token", "password", "Authorization", "s3_secret_key"])
def test_fields_that_sound_secret_are_masked(stream: io.StringIO, field: str) -> None:
    logging.getLogger("x").warning("hello", extra={field: "hunter2"})
    assert "hunter2" not in stream.getvalue()


def test_an_exception_stays_on_its_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("x").exception("failed")
    assert "ValueError: broken" in json.loads(stream.getvalue())["exception"]
