"""From tables in text to tables in SQLite: names that SQL can say, values that compare as they should.

`load` reads one table. The type of a column comes from the first rows; a later cell that does not fit stays text and is counted. Numbers in
any convention become numbers, dates in one form become ISO text, an empty cell is NULL, and codes with leading zeros stay text.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from decoding import BadInput
from forms import MISSING, decimal_evidence, has_leading_zero, moment, number
from table import Table

SAMPLE_ROWS = 5_000                 # rows that decide the types: beyond them surprises are counted, not guessed
TYPED_SHARE_MIN = 0.95              # cells of the sample that must be of a type
COLUMNS_MAX = 2_000                 # what SQLite takes
INTEGER_MAX = 2**63 - 1             # of SQLite; a column that begins with longer ones is codes and stays text
PROGRESS_ROWS = 20_000
MISSING_NUMBERS = frozenset(MISSING)    # in a column of numbers or dates these words are NULL; in a column of text they are text
RESERVED_WORDS = """abort action add after all alter always analyze and as asc attach autoincrement before begin between by cascade case cast
check collate column commit conflict constraint create cross current current_date current_time current_timestamp database default deferrable
deferred delete desc detach distinct do drop each else end escape except exclude exclusive exists explain fail filter first following for foreign
from full generated glob group groups having if ignore immediate in index indexed initially inner insert instead intersect into is isnull join key
last left like limit match materialized natural no not nothing notnull null nulls of offset on or order others outer over partition plan pragma
preceding primary query raise range recursive references regexp reindex release rename replace restrict returning right rollback row rows savepoint
select set table temp temporary then ties to transaction trigger unbounded union unique update using vacuum values view virtual when where window
with without"""
RESERVED = frozenset(RESERVED_WORDS.split())


@dataclass
class LoadedColumn:
    """A column as SQL sees it. `unconverted` cells did not fit the type and are text."""

    name: str
    original: str
    type: str                   # integer | number | date | datetime | text
    decimal: str = "."
    month_first: bool = False
    unconverted: int = 0
    first_unconverted: str = ""

    def to_json(self) -> dict[str, Any]:
        """The column as a member of an output."""
        told: dict[str, Any] = {"name": self.name, "original": self.original, "type": self.type}
        if self.unconverted:
            told |= {"unconverted": self.unconverted, "first_unconverted": self.first_unconverted}
        return told


@dataclass
class LoadedTable:
    """A table as SQL sees it, with what was odd about its text."""

    name: str
    original: str
    columns: list[LoadedColumn]
    rows: int
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """The table as a member of an output."""
        return {"name": self.name, "original": self.original, "rows": self.rows, "columns": [column.to_json() for column in self.columns],
                "notes": self.notes}


def sql_names(names: list[str], kind: str) -> list[str]:
    """Names that need no quotes in SQL, in any script, unique whatever their case. `kind` begins a name that has to be made up."""
    taken: set[str] = set()
    found = []
    for position, name in enumerate(names, 1):
        plain = re.sub(r"\W+", "_", unicodedata.normalize("NFC", name)).strip("_") or f"{kind}_{position}"
        if plain[0].isdigit():
            plain = f"{kind[0]}_{plain}"
        if plain.casefold() in RESERVED:
            plain += "_"
        unique, number_ = plain, 2
        while unique.casefold() in taken:
            unique, number_ = f"{plain}_{number_}", number_ + 1
        taken.add(unique.casefold())
        found.append(unique)
    return found


def load(database: sqlite3.Connection, table: Table, name: str, original: str, progress: Callable[[float, int], None]) -> LoadedTable:
    """Create a table of this (SQL) name and fill it; `progress` is told (share read, rows). Raises BadInput for too many columns."""
    if table.width > COLUMNS_MAX:
        raise BadInput(f"The table {original} has {table.width} columns; SQL takes at most {COLUMNS_MAX}.")
    sample = table.sample[:SAMPLE_ROWS]
    columns = [_typed(new, old, [row[n].strip() for row in sample if n < len(row)], table.dialect.separator)
               for n, (new, old) in enumerate(zip(sql_names(table.names, "column"), table.names, strict=True))]
    affinity = {"integer": "INTEGER", "number": "REAL"}
    described = ", ".join(f'"{column.name}" {affinity.get(column.type, "TEXT")}' for column in columns)
    database.execute(f'CREATE TABLE "{name}" ({described})')
    counts: Counter[str] = Counter()
    database.executemany(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(columns))})', _values(table, columns, counts, progress))
    database.commit()
    return LoadedTable(name, original, columns, counts["rows"], _notes(table, columns, counts))


def _values(table: Table, columns: list[LoadedColumn], counts: Counter[str],
            progress: Callable[[float, int], None]) -> Iterator[list[Any]]:
    """The rows as values of the columns' types."""
    converters = [_converter(column) for column in columns]
    width = len(columns)
    for _, cells in table.rows():
        counts["rows"] += 1
        if len(cells) != width:
            counts["short" if len(cells) < width else "long"] += 1
            cells = cells[:width] + [""] * (width - len(cells))
        if counts["rows"] % PROGRESS_ROWS == 0:
            progress(table.fraction(), counts["rows"])
        yield [convert(cell) for convert, cell in zip(converters, cells, strict=True)]


def _typed(name: str, original: str, cells: list[str], separator: str) -> LoadedColumn:
    """The column with the type that its first cells have."""
    present = [cell for cell in cells if cell.casefold() not in MISSING_NUMBERS]
    column = LoadedColumn(name, original, "text")
    if not present or any(map(has_leading_zero, present)):
        return column
    enough = TYPED_SHARE_MIN * len(present)
    marks = Counter(map(decimal_evidence, present))
    if marks["."] == marks[","]:
        decimal = "," if separator == ";" and any("," in cell for cell in present) else "."
    else:
        decimal = "," if marks[","] > marks["."] else "."
    values = [value for value in (number(cell, decimal) for cell in present) if value is not None]
    if len(values) >= enough and all(abs(value) <= INTEGER_MAX or isinstance(value, float) for value in values):
        column.type = "integer" if all(isinstance(value, int) for value in values) else "number"
        column.decimal = decimal
        return column
    dates = [date for date in map(moment, present) if date]
    month_first = any(date.form[0] == "M" and not date.open_order and date.form[2] in "/-" for date in dates)
    day_first = any(date.form[0] == "D" and not date.open_order and date.form[2] in "/-" for date in dates)
    undecided = any(date.open_order for date in dates) and month_first == day_first
    if len(dates) >= enough and not undecided:
        column.type = "datetime" if any(date.time for date in dates) else "date"
        column.month_first = month_first
    return column


def _converter(column: LoadedColumn) -> Callable[[str], Any]:
    """The function from a cell of this column to its value."""
    def unfit(cell: str) -> str:
        if not column.unconverted:
            column.first_unconverted = cell[:80]
        column.unconverted += 1
        return cell

    def as_number(cell: str) -> Any:
        cell = cell.strip()
        if cell.casefold() in MISSING_NUMBERS:
            return None
        value = number(cell, column.decimal)
        if value is None:
            return unfit(cell)
        return float(value) if abs(value) > INTEGER_MAX else value

    def as_date(cell: str) -> Any:
        cell = cell.strip()
        if cell.casefold() in MISSING_NUMBERS:
            return None
        date = moment(cell)
        return (date.iso(column.month_first) if date else None) or unfit(cell)

    def as_text(cell: str) -> Any:
        return cell if cell.strip() else None

    return as_text if column.type == "text" else as_date if column.type in ("date", "datetime") else as_number


def _notes(table: Table, columns: list[LoadedColumn], counts: Counter[str]) -> list[str]:
    """Sentences about what was odd."""
    notes, trouble = list(table.notes), table.trouble
    if counts["short"]:
        notes.append(f"Rows with fewer than {table.width} cells: {counts['short']}; what they lack is NULL.")
    if counts["long"]:
        notes.append(f"Rows with more than {table.width} cells: {counts['long']}; what they have beyond was dropped.")
    if trouble.unclosed_quotes:
        notes.append(f"A quote never closes at line {', '.join(map(str, trouble.unclosed_quotes[:10]))}.")
    if trouble.nul_characters:
        notes.append(f"NUL characters were removed ({trouble.nul_characters}).")
    if table.encoding.replaced:
        notes.append(f"Characters that are not valid {table.encoding.name} were replaced ({table.encoding.replaced}).")
    if table.encoding.found_by == "fallback":
        notes.append(f"The bytes are not UTF-8; they were read as {table.encoding.name}.")
    notes += [f"Cells of {column.name} that are not of type {column.type} stay text ({column.unconverted}; first: {column.first_unconverted})."
              for column in columns if column.unconverted]
    return notes
