"""`popreel simulate`: feed policies against each other in simulated worlds."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from inference.simulation.charts import as_html
from inference.simulation.report import FIRST_VERSION, as_text, differences_as_text, intervals, play
from inference.simulation.run import RunPlan


def simulate(out: Console, *, seeds: int, viewers: int, html: Path | None) -> None:
    """CPU-bound: about a minute a world."""
    found = play(seeds=seeds, viewers=viewers, plan=RunPlan(start_age_days=2.1))
    table = intervals(found)
    out.print(as_text(table), soft_wrap=True, markup=False)
    out.print(differences_as_text(found, FIRST_VERSION), soft_wrap=True, markup=False)
    if html is not None:
        html.write_text(as_html(table), "utf-8")
        out.print(f"{html} written", markup=False)
