"""`popreel simulate`: feed policies against each other in simulated worlds."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from inference.simulation.report import as_html, as_text, compare
from inference.simulation.run import RunPlan


def simulate(out: Console, *, seeds: int, viewers: int, html: Path | None) -> None:
    """CPU-bound: about a minute a world."""
    table = compare(seeds=seeds, viewers=viewers, plan=RunPlan())
    out.print(as_text(table), soft_wrap=True, markup=False)
    if html is not None:
        html.write_text(as_html(table), "utf-8")
        out.print(f"{html} written", markup=False)
