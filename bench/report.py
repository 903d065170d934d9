"""Figures: a name, the values of several rounds, what DESIGN section 9 wants reached, and what stands beside it. Printed as a table or as JSON."""

from __future__ import annotations

from statistics import median
from typing import Any, NamedTuple

NAME_WIDTH = 56
HEADING = (f"{'':{NAME_WIDTH}} {'median':>9} {'least':>9} {'most':>9} {'':8} {'reach':>9} {'ratio':>6}   beside\n"
           f"{'':{NAME_WIDTH}} {'':38} {'':9} {'1+: ok':>6}")


class Figure(NamedTuple):
    """One row. `less_is_better` turns the ratio round, so that 1 or more always means: reached. `beside` are further figures by name, in
    words; those that are 0 are not printed."""

    name: str
    unit: str
    values: list[float]
    reach: float | None = None
    less_is_better: bool = False
    beside: dict[str, float] = {}  # noqa: RUF012 - a NamedTuple default that nobody writes to

    def median(self) -> float:
        """Of the rounds."""
        return median(self.values)

    def ratio(self) -> float | None:
        """How far the reach is reached: 1 or more is there. None without a reach."""
        if self.reach is None:
            return None
        return self.reach / self.median() if self.less_is_better else self.median() / self.reach

    def document(self) -> dict[str, Any]:
        """For --json."""
        return {"name": self.name, "unit": self.unit, "median": self.median(), "values": self.values, "reach": self.reach, "ratio": self.ratio(),
                "beside": self.beside}

    def line(self) -> str:
        """For people."""
        ratio = self.ratio()
        spread = [number(min(self.values)), number(max(self.values))] if len(self.values) > 1 else ["", ""]
        beside = ", ".join(f"{name} {number(value)}" for name, value in self.beside.items() if value)
        return (f"{self.name:{NAME_WIDTH}} {number(self.median()):>9} {spread[0]:>9} {spread[1]:>9} {self.unit:8} "
                f"{number(self.reach) if self.reach is not None else '-':>9} {f'{ratio:.2f}' if ratio is not None else '-':>6}   {beside}").rstrip()


def number(value: float) -> str:
    """Three figures that count, thousands apart."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
