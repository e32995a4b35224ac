from pathlib import Path

import msgspec
import pytest

from foundation.errors import BadInput
from packager.cli import read_edits
from packager.edits import NO_EDITS, Edits, Look, window_of
from packager.errors import Refusal, RefusedInput


def test_edits_read_as_the_upload_form_sends_them() -> None:
    text = b'{"trimStartMs":500,"speed":1.5,"look":"noir","sound":{"startMs":100,"volume":0.5},"unknown":1}'
    edits = msgspec.json.decode(text, type=Edits)
    assert (edits.trim_start_ms, edits.speed, edits.look) == (500, 1.5, Look.NOIR)
    assert edits.sound is not None
    assert edits.sound.original_volume == 0.0


@pytest.mark.parametrize(
    "text", [b'{"speed":3}', b'{"look":"glitter"}', b'{"trimStartMs":-1}', b'{"sound":{"volume":9}}']
)
def test_edits_out_of_bounds_are_not_decoded(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Edits)


def test_the_window_is_cut_to_the_source_and_divided_by_speed() -> None:
    window = window_of(
        Edits(trim_start_ms=1000, trim_end_ms=99_000, speed=2.0), source_duration_s=9, min_duration_s=0.2
    )
    assert (window.start_s, window.end_s, window.duration_s) == (1.0, 9, 4.0)


@pytest.mark.parametrize(
    ("edits", "code"),
    [
        (Edits(trim_start_ms=9000), Refusal.EDITS),
        (Edits(trim_start_ms=500, trim_end_ms=400), Refusal.EDITS),
        (NO_EDITS, Refusal.TOO_SHORT),
    ],
)
def test_a_window_without_a_usable_rest_is_refused(edits: Edits, code: Refusal) -> None:
    with pytest.raises(RefusedInput) as refused:
        window_of(edits, source_duration_s=0.1 if edits is NO_EDITS else 5.0, min_duration_s=0.2)
    assert refused.value.code == code


def test_edits_on_the_command_line_are_json_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "edits.json").write_text('{"speed": 0.5}')
    assert read_edits('{"look": "sepia"}').look is Look.SEPIA
    assert read_edits(f"@{tmp_path / 'edits.json'}").speed == 0.5
    for wrong in ("{", '{"speed": 9}', f"@{tmp_path / 'none.json'}"):
        with pytest.raises(BadInput):
            read_edits(wrong)
