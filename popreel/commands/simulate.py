"""`popreel simulate`: feed policies against each other in simulated worlds."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from inference.simulation.report import report, report_as_html, report_as_text


def simulate(out: Console, *, seeds: int, viewers: int, html: Path | None) -> None:
    """CPU-bound: about a minute a world."""
    found = report(seeds=seeds, viewers=viewers)
    out.print(report_as_text(found), soft_wrap=True, markup=False)
    if html is not None:
        html.write_text(report_as_html(found), "utf-8")
        out.print(f"{html} written", markup=False)
