"""One column of a table while it is read: what its cells are, and what is odd about them.

`begin` decides from the first block how ambiguous numbers and dates are read; `take` is handed every block; `to_json` tells the result.
A cell is missing, or of exactly one kind: integer, number, date, datetime, boolean or text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from forms import (
    BOOLEANS,
    PAIRS,
    decimal_evidence,
    has_leading_zero,
    moment,
    number,
    reads_two_ways,
    unit_of,
)
from tally import Moments, Reservoir, Tally

LEADING_TEXT_SHARE = 0.9        # text with fewer other cells than this leaves is text; with more it is mixed
EXAMPLES = 5
CLIP_CHARACTERS = 120           # of a value that is shown
OUTLIER_SPREADS = 3.0           # distances between the quartiles beyond which a number is called far out
FAMILIES = {"integer": "number", "number": "number", "date": "date", "datetime": "date", "boolean": "boolean", "text": "text"}
UNITS_SHOWN = 5


class Column:
    """Facts about one column. `missing` holds the texts that count as nothing, in lower case."""

    def __init__(self, name: str, position: int, missing: frozenset[str], distinct_bound: int) -> None:
        self.name, self.position = name, position
        self._missing_words = missing
        self._decimal, self._month_first = ".", False
        self._tally = Tally(distinct_bound)
        self._missing: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._first: dict[str, tuple[str, int]] = {}    # the first cell of each kind and its line
        self._moments, self._reservoir = Moments(), Reservoir()
        self._whole, self._units = True, Counter[str]()
        self._dates: list[str] = []                     # first and last date, as ISO text
        self._date_forms: Counter[str] = Counter()
        self._words: set[str] = set()                   # the yes and no words seen
        self._lengths = Moments()
        self._padded = self._zeros = 0
        self._ambiguous = 0
        self._first_zero: tuple[str, int] | None = None

    def evidence(self, cells: Iterable[str]) -> Counter[str]:
        """What the cells of a block say about the decimal mark and the order of day and month."""
        found: Counter[str] = Counter()
        for cell in {cell.strip() for cell in cells}:
            mark = decimal_evidence(cell)
            if mark:
                found[mark + ("comma" if mark == "?" and "," in cell else "")] += 1
            elif (date := moment(cell)) and not date.open_order and date.form[0] in "DM" and date.form[2] in "/-":
                found["day first" if date.form[0] == "D" else "month first"] += 1
        return found

    def begin(self, decimal: str, month_first: bool) -> None:
        """Set how ambiguous cells are read, before the first `take`."""
        self._decimal, self._month_first = decimal, month_first

    def take(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """Take a block of cells with their line numbers."""
        counts = Counter(cells)
        numbers: list[float] = []
        for raw in list(counts):
            times, cell = counts[raw], raw.strip()
            if cell.casefold() in self._missing_words:
                self._missing[cell] += times
                del counts[raw]
                continue
            if len(cell) != len(raw):
                self._padded += times
            kind = self._classify(cell, times, numbers)
            self._kinds[kind] += times
            self._lengths.add(len(cell), times)
            if kind not in self._first:
                self._first[kind] = (cell, lines[cells.index(raw)])
            if self._first_zero is None and self._zeros and has_leading_zero(cell):
                self._first_zero = (cell, lines[cells.index(raw)])
        self._tally.add(counts)
        self._reservoir.extend(numbers)

    def to_json(self, rows: int, frequent: int) -> dict[str, Any]:
        """The column as it is told: `rows` is the number of data rows, `frequent` how many frequent values are listed."""
        missing = self._missing.total()
        kind, warnings = self._type(), self._warnings()
        told: dict[str, Any] = {
            "name": self.name, "position": self.position, "type": kind,
            "missing": missing, "missing_share": round(missing / rows, 6) if rows else 0.0,
            "missing_forms": dict(self._missing.most_common()), "distinct": self._tally.distinct(), "distinct_exact": self._tally.exact,
            "kinds": dict(self._kinds.most_common()),
            "frequent": [{"value": _clipped(value), "count": count} for value, count in self._tally.top(frequent) if count > 1],
            "examples": [_clipped(value) for value, _ in self._tally.top(EXAMPLES)]}
        if self._tally.undercount_max:
            told["frequent_undercount_max"] = self._tally.undercount_max
        if kind in ("integer", "number") or (kind == "mixed" and self._moments.count):
            told["numbers"], far = self._numbers()
            warnings += far
        if self._date_forms:
            told["dates"] = {"first": self._dates[0], "last": self._dates[1], "forms": dict(self._date_forms.most_common())}
        if self._kinds:
            told["lengths"] = {"min": int(self._lengths.low), "max": int(self._lengths.high), "mean": _rounded(self._lengths.mean)}
        told["warnings"] = warnings
        return told

    def _classify(self, cell: str, times: int, numbers: list[float]) -> str:
        """The kind of a cell that is not missing; counted as such."""
        value = number(cell, self._decimal)
        if value is None and ("." in cell or "," in cell):
            value = number(cell, "," if self._decimal == "." else ".")      # clear in the other convention
        if value is not None:
            return self._take_number(cell, value, times, numbers)
        date = moment(cell)
        if date:
            iso = date.iso(self._month_first) or date.iso(not self._month_first)
            if iso:
                self._date_forms[date.form] += times
                self._dates = [min([iso, *self._dates]), max([iso, *self._dates])]
                return "datetime" if date.time else "date"
        word = cell.casefold()
        if word in BOOLEANS:
            self._words.add(word)
            return "boolean"
        return "text"

    def _take_number(self, cell: str, value: float, times: int, numbers: list[float]) -> str:
        """Count a number and say whether it is whole."""
        if has_leading_zero(cell):
            self._zeros += times
        if not cell.isdigit():
            self._units[unit_of(cell)] += times
            if reads_two_ways(cell):
                self._ambiguous += times
        self._moments.add(value, times)
        numbers.extend([float(value)] * times)
        if isinstance(value, int):
            return "integer"
        self._whole = False
        return "number"

    def _type(self) -> str:
        """The type of the column, from the kinds of its cells."""
        kinds = self._kinds
        if not kinds:
            return "empty"
        families = Counter[str]()
        for kind, count in kinds.items():
            families[FAMILIES[kind]] += count
        if set(families) <= {"boolean", "text"}:
            paired = any(self._words <= set(pair) for pair in PAIRS)
            return "boolean" if "text" not in families and paired else "text"
        if len(families) > 1:
            return "text" if families["text"] + families["boolean"] >= LEADING_TEXT_SHARE * kinds.total() else "mixed"
        if "date" in families:
            return "datetime" if kinds["datetime"] else "date"
        if self._zeros:
            return "text"
        return "integer" if self._whole else "number"

    def _numbers(self) -> tuple[dict[str, Any], list[str]]:
        """Statistics of the numbers, and a warning about those far out."""
        moments, deviation = self._moments, self._moments.stdev()
        low, middle, high = self._reservoir.quantiles((0.25, 0.5, 0.75))
        told: dict[str, Any] = {
            "min": _rounded(moments.low), "max": _rounded(moments.high), "mean": _rounded(moments.mean),
            "stdev": None if deviation is None else _rounded(deviation), "p25": _rounded(low), "median": _rounded(middle), "p75": _rounded(high),
            "quantiles_exact": self._reservoir.exact, "zeros": moments.zeros, "negatives": moments.negatives,
            "decimal_mark": self._decimal, "units": {unit: n for unit, n in self._units.most_common(UNITS_SHOWN) if unit}}
        reach = OUTLIER_SPREADS * (high - low)
        far = sum(value < low - reach or value > high + reach for value in self._reservoir.values) if reach else 0
        if not far:
            return told, []
        within = "" if self._reservoir.exact else f" in a sample of {len(self._reservoir.values)}"
        return told, [f"{far} number{'s' if far > 1 else ''}{within} far outside the rest (below {_rounded(low - reach)} or above "
                      f"{_rounded(high + reach)}; the ends are {told['min']} and {told['max']})."]

    def _warnings(self) -> list[str]:
        """Sentences about what a person should look at."""
        kinds, total = self._kinds, self._kinds.total()
        warnings = []
        if self._type() == "mixed":
            parts = [f"{kind} {count} ({count / total:.1%}, first at line {self._first[kind][1]}: {_clipped(self._first[kind][0], 40)})"
                     for kind, count in kinds.most_common()]
            warnings.append(f"Mixed types: {'; '.join(parts)}.")
        if self._zeros and self._first_zero:
            warnings.append(f"{self._zeros} of {total} begin with a zero (first at line {self._first_zero[1]}: {self._first_zero[0]}): "
                            "codes, not quantities.")
        if self._padded:
            warnings.append(f"{self._padded} of {total} values have white space around them.")
        if self._ambiguous:
            reading = "thousands" if self._decimal == "." else "decimals"
            warnings.append(f"{self._ambiguous} of {total} look like 1,234 or 1.234 and can be read in two ways; the decimal mark is taken to be "
                            f"{self._decimal!r}, so a comma separates {reading}.")
        clear = [form for form in self._date_forms if " or " not in form]
        if len(clear) < len(self._date_forms) and not any(form[0] in "DM" for form in clear):
            order = "month first" if self._month_first else "day first"
            warnings.append(f"Day and month cannot be told apart in any date; they are read {order}.")
        if len(clear) > 1:
            warnings.append(f"Dates in {len(clear)} forms: {', '.join(clear[:5])}.")
        if self._missing.total() == 0 and total > 1 and self._tally.distinct() == 1:
            warnings.append("All values are the same.")
        return warnings


def _clipped(value: str, characters: int = CLIP_CHARACTERS) -> str:
    """A value short enough to show."""
    return value if len(value) <= characters else value[:characters - 1] + "…"


def _rounded(value: float) -> float | int:
    """Twelve significant digits, whole numbers as integers."""
    short = float(f"{value:.12g}")
    return int(short) if short.is_integer() and abs(short) < 2**53 else short
