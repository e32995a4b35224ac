"""The comparison of policies as one HTML page, drawn as SVG: a line per policy from a viewer's first video on, and a
dot with its interval per policy and figure.

No script, no network, no plotting library: the page opens anywhere and prints.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

_LEFT, _WIDTH, _RIGHT, _ROW, _HEIGHT, _MARGIN = 190, 420, 120, 24, 260, 60
_HEAD = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>Feed policies in simulated worlds</title>"
    "<style>body{font:14px system-ui,sans-serif;margin:2em;max-width:60em}h2{margin:1.2em 0 .2em}p{color:#555}"
    "svg{display:block}text{font:13px system-ui,sans-serif}.ours{fill:#0a6;stroke:#0a6}.other{fill:#678;stroke:#678}"
    ".zero{stroke:#ccc}polyline{fill:none;stroke-width:2}text{stroke:none}</style>"
    "<h1>Feed policies in simulated worlds</h1>"
    "<p>A dot is the mean over worlds, the line its 95 % interval. One simulator with its own assumptions: "
    "for direction, not size.</p>"
)
_COLOURS = ("#678", "#c70", "#06c", "#b3a", "#a22", "#770")
_SAYS = {
    "satisfaction": "true affinity per impression",
    "depth": "videos watched before leaving",
    "skips": "share of impressions left within a fifth of their length (lower is better)",
    "discovery": "best tenth of the uploads that got 30 impressions",
    "new_reached": "uploads that got 10 impressions",
    "fair_chance": "uploads that got 20 impressions, or 10 that went badly",
    "diversity": "1 - cosine between neighbours of a page",
    "creator_gini": "unevenness of creators' exposure (lower is more even)",
    "first_ten": "satisfaction over a viewer's first ten impressions",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    mean: float
    half_width: float
    """Of the 95 % interval over worlds; infinite for one world."""

    @property
    def ends(self) -> tuple[float, float]:
        half = self.half_width if math.isfinite(self.half_width) else 0.0
        return self.mean - half, self.mean + half


Table = dict[str, dict[str, Interval]]
"""Policy -> figure -> interval."""


def as_html(table: Table, cold_start: Table) -> str:
    """The page; policies in the table's order. `cold_start`: policy -> number of videos watched -> satisfaction."""
    names = list(next(iter(table.values())))
    parts = [_HEAD, "<h2>cold start</h2><p>satisfaction after so many videos of a viewer</p>", lines(cold_start)]
    for name in names:
        parts.append(f"<h2>{html.escape(name)}</h2><p>{html.escape(_SAYS.get(name, ''))}</p>")
        parts.append(chart({policy: figures[name] for policy, figures in table.items()}))
    return "".join(parts)


def lines(table: Table) -> str:
    """One line per policy over its figures as SVG, the name at its end, worlds' interval as a bar at each number."""
    points = [value for figures in table.values() for value in figures.values()]
    low, high = min(point.ends[0] for point in points), max(point.ends[1] for point in points)
    numbers = list(next(iter(table.values())))
    step = _WIDTH / max(len(numbers) - 1, 1)

    def y(value: float) -> float:
        return round(10 + _HEIGHT * (high - value) / (high - low or 1.0), 1)

    width, height = _MARGIN + _WIDTH + _LEFT + 30, _HEIGHT + 40
    parts = [f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img">']
    parts += [f'<text x="0" y="{y(value) + 4}">{value:.2f}</text>' for value in (low, high)]
    for number, name in enumerate(numbers):
        x = round(_MARGIN + step * number, 1)
        parts.append(f'<text x="{x}" y="{height - 8}" text-anchor="middle">{html.escape(name)}</text>')
    places = _apart({policy: y(list(figures.values())[-1].mean) for policy, figures in table.items()})
    for number, (policy, figures) in enumerate(table.items()):
        start = _MARGIN + 3 * number  # so that the bars of one number stand side by side
        dots = [(round(start + step * at, 1), value) for at, value in enumerate(figures.values())]
        path = " ".join(f"{x},{y(value.mean)}" for x, value in dots)
        bars = "".join(f'<line x1="{x}" x2="{x}" y1="{y(v.ends[0])}" y2="{y(v.ends[1])}"/>' for x, v in dots)
        label = f'<text x="{_MARGIN + _WIDTH + 30}" y="{places[policy] + 4:.1f}">{html.escape(policy)}</text>'
        parts.append(f'<g {_drawn(policy, number)}><polyline points="{path}"/>{bars}{label}</g>')
    return "".join([*parts, "</svg>"])


def _drawn(policy: str, number: int) -> str:
    colour = _COLOURS[number % len(_COLOURS)]
    return 'class="ours"' if policy == "ours" else f'fill="{colour}" stroke="{colour}"'


def _apart(wanted: dict[str, float]) -> dict[str, float]:
    """Heights of labels, from the top, moved down until none covers another."""
    placed: dict[str, float] = {}
    free_from = 0.0
    for name, height in sorted(wanted.items(), key=lambda pair: pair[1]):
        placed[name] = max(height, free_from)
        free_from = placed[name] + 15
    return placed


def chart(values: dict[str, Interval]) -> str:
    """One figure of all policies as SVG."""
    low = min(0.0, *(value.ends[0] for value in values.values()))
    high = max(0.0, *(value.ends[1] for value in values.values()))
    span = high - low or 1.0

    def x(value: float) -> float:
        return round(_LEFT + _WIDTH * (value - low) / span, 1)

    height = _ROW * len(values) + 8
    parts = [
        f'<svg viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {height}" width="{_LEFT + _WIDTH + _RIGHT}" role="img">',
        f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="0" y2="{height}"/>',
    ]
    for number, (policy, value) in enumerate(values.items()):
        y, style = _ROW * number + _ROW // 2 + 4, _style(policy)
        start, end = value.ends
        parts.append(
            f'<text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{html.escape(policy)}</text>'
            f'<line class="{style}" stroke-width="2" x1="{x(start)}" x2="{x(end)}" y1="{y}" y2="{y}"/>'
            f'<circle class="{style}" cx="{x(value.mean)}" cy="{y}" r="4"/>'
            f'<text x="{_LEFT + _WIDTH + 10}" y="{y + 4}">{_text(value)}</text>'
        )
    return "".join([*parts, "</svg>"])


def _style(policy: str) -> str:
    return "ours" if policy == "ours" else "other"


def _text(value: Interval) -> str:
    return f"{value.mean:.3f}" + (f" ± {value.half_width:.3f}" if math.isfinite(value.half_width) else "")
