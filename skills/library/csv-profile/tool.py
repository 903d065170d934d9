"""csv-profile: what is in a table, column by column, in one pass with bounded memory.

`profile` is the step. It reads blocks of rows, hands each column its cells, and tells the result with a summary in plain sentences. Ragged
rows, bad bytes and quotes that never close are reported with their lines; only a text that is no table at all is refused (`BadInput`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from column import Column
from decoding import BadInput
from forms import MISSING
from table import UNCLOSED_MAX, Table

BLOCK_CELLS = 200_000               # cells that are looked at together: repeated values then cost one look
BLOCK_ROWS_MAX = 10_000
BLOCK_CHARACTERS_MAX = 16 * 2**20   # fewer rows where fields are huge
DISTINCT_VALUES_MAX = 100_000       # of one column that are counted exactly
DISTINCT_TOTAL_MAX = 600_000        # of all columns together: about 100 MB
DISTINCT_VALUES_MIN = 1_000
DUPLICATE_ROWS_MAX = 500_000        # rows that are compared with each other: about 40 MB
RAGGED_SHOWN = 20
FREQUENT_DEFAULT = 5
NAMED_IN_SUMMARY = 12


class Step(Protocol):
    """What the runner hands in beside the input."""

    def progress(self, fraction: float, message: str) -> None:
        """Tell how far the work is."""


class _Rows:
    """What is counted over whole rows."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.count = self.short = self.long = self.duplicates = 0
        self.ragged: list[dict[str, int]] = []
        self._seen: set[int] = set()
        self.compared = 0

    def take(self, line: int, cells: list[str]) -> list[str]:
        """Count a row; answer its cells, cut or filled to the width of the table."""
        self.count += 1
        if len(cells) != self.width:
            if len(self.ragged) < RAGGED_SHOWN:
                self.ragged.append({"line": line, "cells": len(cells)})
            if len(cells) < self.width:
                self.short += 1
                cells = cells + [""] * (self.width - len(cells))
            else:
                self.long += 1
                cells = cells[:self.width]
        if self.compared < DUPLICATE_ROWS_MAX:
            self.compared += 1
            key = hash(tuple(cells))
            if key in self._seen:
                self.duplicates += 1
            else:
                self._seen.add(key)
        return cells


def profile(input: dict[str, Any], step: Step | None = None) -> dict[str, Any]:
    """Profile the table in `input["text"]` (a string or a path). Raises BadInput when it holds no table."""
    text: str | Path = input["text"]
    table = Table(text, encoding=input.get("encoding"), separator=input.get("separator"), header=input.get("header"))
    words = frozenset(word.strip().casefold() for word in input.get("missing", MISSING)) | {""}
    bound = max(DISTINCT_VALUES_MIN, min(DISTINCT_VALUES_MAX, DISTINCT_TOTAL_MAX // table.width))
    columns = [Column(name, n, words, bound) for n, name in enumerate(table.names, 1)]
    rows = _Rows(table.width)
    begun = False
    for lines, cells in _blocks(table, rows):
        if not begun:
            _decide(columns, cells, table.dialect.separator)
            begun = True
        for column, block in zip(columns, cells, strict=True):
            column.take(block, lines)
        if step is not None:
            step.progress(table.fraction(), f"{rows.count} rows")
    told = [column.to_json(rows.count, input.get("frequent", FREQUENT_DEFAULT)) for column in columns]
    warnings = _warnings(table, rows)
    return {"summary": _summary(table, rows, told, warnings), "rows": rows.count, "columns": told,
            "columns_with_missing": [column["name"] for column in told if column["missing"]],
            "duplicate_rows": {"count": rows.duplicates, "rows_compared": rows.compared},
            "ragged_rows": {"short": rows.short, "long": rows.long, "first": rows.ragged},
            "blank_lines": table.trouble.blank_lines, "dialect": table.dialect.to_json(), "encoding": table.encoding.to_json(),
            "warnings": warnings}


def _blocks(table: Table, rows: _Rows) -> Iterator[tuple[list[int], list[tuple[str, ...]]]]:
    """(line numbers, the cells of each column) of blocks of rows."""
    size = max(1, min(BLOCK_ROWS_MAX, BLOCK_CELLS // table.width))
    lines: list[int] = []
    held: list[list[str]] = []
    characters = 0
    for line, cells in table.rows():
        lines.append(line)
        held.append(rows.take(line, cells))
        characters += sum(map(len, cells))
        if len(held) >= size or characters > BLOCK_CHARACTERS_MAX:
            yield lines, list(zip(*held, strict=True))
            lines, held, characters = [], [], 0
    if held:
        yield lines, list(zip(*held, strict=True))


def _decide(columns: list[Column], cells: list[tuple[str, ...]], separator: str) -> None:
    """Decide for each column how ambiguous cells are read: by its own first block, then by the whole table, then by the separator."""
    found = [column.evidence(block) for column, block in zip(columns, cells, strict=True)]
    whole: Counter[str] = sum(found, Counter())
    for column, mine in zip(columns, found, strict=True):
        votes = mine if mine["."] != mine[","] else whole
        if votes["."] == votes[","]:
            decimal = "," if separator == ";" and mine["?comma"] else "."
        else:
            decimal = "," if votes[","] > votes["."] else "."
        order = mine if mine["day first"] != mine["month first"] else whole
        column.begin(decimal, order["month first"] > order["day first"])


def _warnings(table: Table, rows: _Rows) -> list[str]:
    """Sentences about the table as a whole."""
    warnings, trouble, encoding = list(table.notes), table.trouble, table.encoding
    if rows.count == 0:
        warnings.append("There is a header and no row of data.")
    if table.dialect.header_found_by == "assumed":
        taken = "taken as names" if table.dialect.header else "taken as data"
        warnings.append(f"Nothing shows for certain whether the first row is a header; it was {taken}. Set header to say so.")
    if rows.short or rows.long:
        where = ", ".join(str(place["line"]) for place in rows.ragged[:10])
        warnings.append(f"{_count(rows.short + rows.long, 'ragged row')}: not {table.width} cells ({rows.short} too short, {rows.long} too long), "
                        f"first at line{'s' if rows.short + rows.long > 1 else ''} {where}.")
    if trouble.unclosed_quotes:
        warnings.append(f"A quote never closes at line {', '.join(map(str, trouble.unclosed_quotes[:10]))}; the line was read without quotes"
                        + (f", and from there on every line, because {UNCLOSED_MAX} do so." if len(trouble.unclosed_quotes) >= UNCLOSED_MAX else "."))
    if trouble.nul_characters:
        warnings.append(f"NUL characters were removed ({trouble.nul_characters}).")
    if encoding.replaced:
        warnings.append(f"Characters that are not valid {encoding.name} were replaced ({encoding.replaced}).")
    if encoding.found_by == "fallback":
        warnings.append(f"The bytes are not UTF-8; they were read as {encoding.name}. Set encoding if letters look wrong.")
    if rows.duplicates:
        scope = "" if rows.compared == rows.count else f" among the first {rows.compared}"
        warnings.append(f"{_count(rows.duplicates, 'row')}{scope} repeat{'s' if rows.duplicates == 1 else ''} an earlier row.")
    return warnings


def _summary(table: Table, rows: _Rows, columns: list[dict[str, Any]], warnings: list[str]) -> str:
    """The answer in plain sentences: the size, which columns have missing values, then what is odd."""
    named = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}.get(table.dialect.separator, repr(table.dialect.separator))
    sentences = [f"{_count(rows.count, 'row')} and {_count(table.width, 'column')}" + (f", separated by {named}." if table.width > 1 else ".")]
    holes = sorted((column for column in columns if column["missing"]), key=lambda column: -column["missing"])
    if not holes:
        sentences.append("No column has missing values.")
    else:
        parts = [f"{column['name']} ({column['missing']} of {rows.count}, {column['missing_share']:.1%})" for column in holes[:NAMED_IN_SUMMARY]]
        more = f" and {len(holes) - NAMED_IN_SUMMARY} more" if len(holes) > NAMED_IN_SUMMARY else ""
        verb = "has" if len(holes) == 1 else "have"
        sentences.append(f"{len(holes)} of {_count(table.width, 'column')} {verb} missing values: {', '.join(parts)}{more}.")
    sentences += warnings
    odd = [f"{column['name']}: {warning}" for column in columns for warning in column["warnings"]]
    sentences += odd[:NAMED_IN_SUMMARY]
    if len(odd) > NAMED_IN_SUMMARY:
        sentences.append(f"{len(odd) - NAMED_IN_SUMMARY} more warnings stand with their columns.")
    return " ".join(sentences)


def _count(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


__all__ = ["BadInput", "profile"]
