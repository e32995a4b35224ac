"""What `popreel upload` prints, with names as people give them to files."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from popreel.client.upload import Outcome, Progress
from popreel.commands.upload import print_outcomes, progress_bars, upload_watch


@pytest.mark.parametrize("name", ["take [2].mp4", "a [bold] c.mp4", "[red].mp4", "100 %.mp4"])
def test_a_name_is_shown_as_it_is_not_read_as_markup(name: str) -> None:
    shown = io.StringIO()
    out = Console(file=shown, width=120, force_terminal=True, color_system=None)
    with progress_bars(out, quiet=False) as bars:
        upload_watch(bars, Path(name))(Progress(sent_bytes=1, total_bytes=2, stage="fetching", share=0.5))
    assert f"{name}: processing" in shown.getvalue()
    print_outcomes(out, [Outcome(file=name, state="ready"), Outcome(file=name, reason="[why]")])
    assert f"ready {name} ->" in shown.getvalue()
    assert f"failed {name}: [why]" in shown.getvalue()
