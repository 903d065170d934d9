"""Plots: panels of lines in one plain SVG, written without a library. Readable on light and on dark pages: the background stays open.

An axis is linear or logarithmic. Values that are not above 0 have no place on a logarithmic axis and are left out.
"""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import NamedTuple

from report import number

WIDTH, HEIGHT = 460, 300                       # of one panel
LEFT, RIGHT, TOP, BOTTOM = 62, 30, 34, 62      # around its plot
COLUMNS = 2
TICKS = 5                                      # about so many on a linear axis
LOG_TICKS_MAX = 6                              # decades on an axis before every other one goes
LOG_FINE_MAX = 2                               # decades; with fewer, 2 and 5 are labelled too
COLOURS = ("#3b82c4", "#d9822b", "#4c9f5e", "#b0528f", "#8a8f3c", "#7a6fd0")
STYLE = ("text{font:11px system-ui,sans-serif;fill:#777}.t{font-size:13px;font-weight:600}.g{stroke:#8888;stroke-width:.5}"
         ".l{fill:none;stroke-width:1.6}.r{stroke:#888;stroke-dasharray:5 4}.m{stroke:#8886;stroke-width:1}"
         "@media(prefers-color-scheme:dark){text{fill:#bbb}}")


class Series(NamedTuple):
    """One line. `dots` marks each point; a line of thousands of samples is better without."""

    name: str
    points: list[tuple[float, float]]
    dots: bool = True


class Panel(NamedTuple):
    """One plot; `y` is a unit and stands in its title. `reach` draws a dashed level, `marks` thin upright lines (restarts and the like)."""

    title: str
    x: str
    y: str
    series: list[Series]
    log_x: bool = False
    log_y: bool = False
    reach: float | None = None
    marks: tuple[float, ...] = ()


class Axis(NamedTuple):
    """Values from `low` to `high` are drawn from pixel `start` to pixel `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    def at(self, value: float) -> float:
        """The pixel of a value."""
        low, high, value = (math.log10(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return round(self.start + (self.end - self.start) * (value - low) / (high - low), 1)

    def ticks(self) -> list[float]:
        """Values to label: decades, or round steps."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            if last - first < LOG_FINE_MAX:
                return [factor * 10.0 ** n for n in range(first - 1, last + 1) for factor in (1, 2, 5) if self.low <= factor * 10.0 ** n <= self.high]
            return [10.0 ** n for n in range(first, last + 1, 1 if last - first < LOG_TICKS_MAX else 2)]
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / TICKS))
        step *= next(factor for factor in (1, 2, 5, 10) if (self.high - self.low) / (step * factor) <= TICKS)
        return [n * step for n in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)]


def svg(title: str, panels: list[Panel]) -> str:
    """The whole picture."""
    rows = math.ceil(len(panels) / COLUMNS)
    width, height = COLUMNS * WIDTH, rows * HEIGHT + TOP
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
             f"<title>{escape(title)}</title><style>{STYLE}</style>", f'<text class="t" x="{LEFT}" y="22">{escape(title)}</text>']
    for n, panel in enumerate(panels):
        parts += [f'<g transform="translate({n % COLUMNS * WIDTH} {n // COLUMNS * HEIGHT + TOP})">', *_panel(panel), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def write(path: Path, title: str, panels: list[Panel]) -> None:
    """Write the picture."""
    path.write_text(svg(title, panels))


def _panel(panel: Panel) -> list[str]:
    """The elements of one plot."""
    shown = [series._replace(points=[p for p in series.points if (not panel.log_x or p[0] > 0) and (not panel.log_y or p[1] > 0)])
             for series in panel.series]
    points = [point for series in shown for point in series.points]
    parts = [f'<text class="t" x="{LEFT}" y="22">{escape(panel.title)}{escape(f", {panel.y}" if panel.y else "")}</text>']
    if not points:
        return [*parts, f'<text x="{LEFT}" y="60">no values</text>']
    levels = [p[1] for p in points] + ([] if panel.reach is None else [panel.reach])
    x = _axis([p[0] for p in points], LEFT, WIDTH - RIGHT, panel.log_x)
    y = _axis(levels if panel.log_y else [0.0, *levels], HEIGHT - BOTTOM, TOP, panel.log_y)
    for value in y.ticks():
        parts.append(f'<path class="g" d="M{LEFT} {y.at(value)}H{WIDTH - RIGHT}"/><text x="{LEFT - 5}" y="{y.at(value) + 4}" text-anchor="end">'
                     f"{number(value)}</text>")
    for value in x.ticks():
        parts.append(f'<path class="g" d="M{x.at(value)} {TOP}V{HEIGHT - BOTTOM}"/><text x="{x.at(value)}" y="{HEIGHT - BOTTOM + 14}" '
                     f'text-anchor="middle">{number(value)}</text>')
    parts += [f'<path class="m" d="M{x.at(mark)} {TOP}V{HEIGHT - BOTTOM}"/>' for mark in panel.marks if x.low <= mark <= x.high]
    if panel.reach is not None:
        parts.append(f'<path class="r" d="M{LEFT} {y.at(panel.reach)}H{WIDTH - RIGHT}"/>'
                     f'<text x="{WIDTH - RIGHT}" y="{y.at(panel.reach) - 4}" text-anchor="end">reach {number(panel.reach)}</text>')
    for n, series in enumerate(shown):
        parts += _line(series, x, y, COLOURS[n % len(COLOURS)])
    parts += _legend(shown)
    return [*parts, f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - BOTTOM + 30}" text-anchor="middle">{escape(panel.x)}</text>']


def _axis(values: list[float], start: float, end: float, log: bool) -> Axis:
    """An axis that holds all values, a little wider where they are all the same."""
    low, high = min(values), max(values)
    if log:
        low, high = 10.0 ** math.floor(math.log10(low) + 1e-9), 10.0 ** math.ceil(math.log10(high) - 1e-9)
        return Axis(low, high if high > low else low * 10, start, end, log)
    return Axis(low, high if high > low else low + 1.0, start, end, log)


def _line(series: Series, x: Axis, y: Axis, colour: str) -> list[str]:
    points = [f"{x.at(px)} {y.at(py)}" for px, py in series.points]
    parts = [f'<path class="l" stroke="{colour}" d="M{"L".join(points)}"/>'] if len(points) > 1 else []
    if series.dots or len(points) == 1:
        parts += [f'<circle r="3" fill="{colour}" cx="{point.split()[0]}" cy="{point.split()[1]}"/>' for point in points]
    return parts


def _legend(shown: list[Series]) -> list[str]:
    """Names under the plot, side by side."""
    parts, at = [], float(LEFT)
    for n, series in enumerate(shown):
        parts.append(f'<rect x="{at}" y="{HEIGHT - 20}" width="10" height="10" fill="{COLOURS[n % len(COLOURS)]}"/>'
                     f'<text x="{at + 14}" y="{HEIGHT - 11}">{escape(series.name)}</text>')
        at += 30 + 6.2 * len(series.name)
    return parts
