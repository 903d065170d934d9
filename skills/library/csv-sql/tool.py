"""csv-sql: one SQL query over tables in text, read-only, with limits on time, rows and memory.

`query` is the step: it loads every table into a database file of its own, forbids everything but reading, and runs the query. An error of
the query is the person's to mend, so it is never retried and names the tables and columns that there are.
"""

from __future__ import annotations

import csv
import difflib
import math
import re
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from decoding import BadInput
from loading import LoadedTable, load, sql_names
from table import Table

ROWS_DEFAULT = 1_000
PREVIEW_ROWS = 20                   # rows that are shown when the whole result is an artifact
TIME_LIMIT_S_DEFAULT = 60.0
TICK_OPERATIONS = 10_000            # SQLite operations between two looks at the clock: well under a millisecond
VALUE_BYTES_MAX = 64 * 2**20        # of one value that a query may build
HEAP_BYTES_MAX = 512 * 2**20        # of SQLite as a whole; sorting beyond it goes to disk
CELL_CHARACTERS_MAX = 10_000        # of one value in the reply
REPLY_CHARACTERS_MAX = 4 * 2**20    # of all values in the reply
FETCH_ROWS = 1_000
NAMES_IN_ERROR = 60
READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
FORBIDDEN_FUNCTIONS = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}


class QueryError(BadInput):
    """The query cannot be run as it is written; the message says what there is to ask."""

    code = "bad_query"


class Step(Protocol):
    """What the runner hands in beside the input."""

    work_folder: Path

    def progress(self, fraction: float, message: str) -> None:
        """Tell how far the work is."""

    def artifact(self, content: Path | bytes, name: str) -> dict[str, str]:
        """Keep a file; answers the reference that stands for it."""


def query(input: dict[str, Any], step: Step | None = None) -> dict[str, Any]:
    """Run `input["sql"]` over `input["text"]` (table `data`) and `input["tables"]`. Raises QueryError or BadInput."""
    texts: dict[str, str | Path] = ({"data": input["text"]} if "text" in input else {}) | input.get("tables", {})
    if not texts:
        raise BadInput("There is no table: give text, or tables with a name for each.")
    if input.get("result", "rows") == "csv" and step is None:
        raise BadInput("A result as a CSV file needs a job to belong to.")
    with tempfile.TemporaryDirectory(dir=step.work_folder if step is not None else None) as folder:
        database = sqlite3.connect(Path(folder) / "tables.sqlite", isolation_level="DEFERRED")
        try:
            tables = _load_all(database, texts, input, step)
            return _answer(database, tables, input, step, Path(folder))
        finally:
            database.close()


def _load_all(database: sqlite3.Connection, texts: dict[str, str | Path], input: dict[str, Any], step: Step | None) -> list[LoadedTable]:
    """Load every text under the SQL form of its name."""
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE", f"hard_heap_limit = {HEAP_BYTES_MAX}"):
        database.execute(f"PRAGMA {pragma}").close()
    loaded: list[LoadedTable] = []
    for done, (name, (original, text)) in enumerate(zip(sql_names(list(texts), "table"), texts.items(), strict=True)):
        def progress(share: float, rows: int, done: int = done, name: str = name) -> None:
            if step is not None:
                step.progress((done + share) / len(texts) * 0.9, f"{rows} rows of {name} loaded")
        try:
            table = Table(text, encoding=input.get("encoding"), separator=input.get("separator"), header=input.get("header"))
        except BadInput as error:
            raise BadInput(f"The table {original} cannot be read: {error}") from error
        loaded.append(load(database, table, name, original, progress))
    return loaded


def _answer(database: sqlite3.Connection, tables: list[LoadedTable], input: dict[str, Any], step: Step | None, folder: Path) -> dict[str, Any]:
    """Run the query and tell its result."""
    limit = input.get("max_rows", ROWS_DEFAULT)
    _close_down(database, input.get("time_limit_s", TIME_LIMIT_S_DEFAULT))
    try:
        cursor = database.execute(input["sql"])
        if cursor.description is None:
            raise QueryError("The query returns nothing: only SELECT (with WITH or VALUES) is possible.")
        names = [column[0] for column in cursor.description]
        if input.get("result", "rows") == "csv" and step is not None:
            shown, count = _written(cursor, names, folder / "result.csv")
            truncated, artifact = False, step.artifact(folder / "result.csv", "result.csv")
        else:
            shown, truncated = _first(cursor, limit)
            count, artifact = len(shown), None
    except (sqlite3.Error, sqlite3.Warning, OverflowError, MemoryError) as error:
        raise QueryError(_explained(error, tables, input)) from error
    answer: dict[str, Any] = {
        "summary": _summary(count, truncated, tables, len(shown)),
        "columns": [{"name": name, "type": _type_of([row[n] for row in shown])} for n, name in enumerate(names)],
        "rows": [[_told(value) for value in row] for row in shown], "row_count": count, "truncated": truncated,
        "tables": [table.to_json() for table in tables]}
    if artifact is not None:
        answer["artifact"] = artifact
    return answer


def _close_down(database: sqlite3.Connection, seconds: float) -> None:
    """From here on the connection can only read, for so long."""
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
    database.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    until = time.monotonic() + seconds
    database.set_progress_handler(lambda: int(time.monotonic() > until), TICK_OPERATIONS)
    database.set_authorizer(_may)


def _may(action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None) -> int:
    """The authorizer: reading and functions, nothing else."""
    if action in READING:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in FORBIDDEN_FUNCTIONS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _first(cursor: sqlite3.Cursor, limit: int) -> tuple[list[tuple[Any, ...]], bool]:
    """(at most `limit` rows of the result that a reply can hold, whether there are more)."""
    shown: list[tuple[Any, ...]] = []
    characters = 0
    for row in cursor:
        characters += sum(min(len(value), CELL_CHARACTERS_MAX) for value in row if isinstance(value, str | bytes))
        if len(shown) == limit or characters > REPLY_CHARACTERS_MAX:
            return shown, True
        shown.append(row)
    return shown, False


def _written(cursor: sqlite3.Cursor, names: list[str], path: Path) -> tuple[list[tuple[Any, ...]], int]:
    """Write the whole result as CSV; answers (the first rows, how many there are)."""
    shown: list[tuple[Any, ...]] = []
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for rows in _fetched(cursor):
            shown += rows[:PREVIEW_ROWS - len(shown)]
            count += len(rows)
            writer.writerows([value.hex() if isinstance(value, bytes) else value for value in row] for row in rows)
    return shown, count


def _fetched(cursor: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    """The result in lists of rows."""
    while rows := cursor.fetchmany(FETCH_ROWS):
        yield rows


def _type_of(values: list[Any]) -> str:
    """What the values of a result column are."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return "null"
    if kinds <= {int, float}:
        return "integer" if kinds == {int} else "number"
    return "text" if kinds == {str} else "blob" if kinds == {bytes} else "mixed"


def _told(value: Any) -> Any:
    """A value as JSON can say it."""
    if isinstance(value, bytes):
        value = value.hex()
    if isinstance(value, str):
        return value if len(value) <= CELL_CHARACTERS_MAX else value[:CELL_CHARACTERS_MAX] + "…"
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _explained(error: BaseException, tables: list[LoadedTable], input: dict[str, Any]) -> str:
    """The error of a query in a sentence, with what there is to ask."""
    text = str(error)
    if text == "interrupted":
        return f"The query ran longer than {input.get('time_limit_s', TIME_LIMIT_S_DEFAULT):g} seconds and was stopped."
    if isinstance(error, MemoryError) or "too big" in text or "out of memory" in text:
        return f"The query builds values that are too large ({text or 'out of memory'})."
    if "authoriz" in text or "prohibited" in text:
        return f"Only reading is possible: SELECT, with WITH, VALUES and functions ({text})."
    if "one statement at a time" in text:
        return "The query holds more than one statement; send one SELECT at a time."
    known = {table.name: [column.name for column in table.columns] for table in tables}
    listed = "; ".join(f"{name} has {', '.join(columns[:NAMES_IN_ERROR])}{', ...' if len(columns) > NAMES_IN_ERROR else ''}"
                       for name, columns in known.items())
    wrong = re.match(r"no such (?:column|table): (?:\w+\.)?(\w+)", text)
    near: list[str] = []
    if wrong:
        names = list(known) if "table" in text else [column for columns in known.values() for column in columns]
        folded = {name.casefold(): name for name in names}
        near = [folded[name] for name in difflib.get_close_matches(wrong[1].casefold(), list(folded), 1, 0.6)]
    return f"SQL error: {text}." + (f" Is {near[0]} meant?" if near else "") + f" Tables: {listed}."


def _summary(count: int, truncated: bool, tables: list[LoadedTable], shown: int) -> str:
    """The result in a sentence or two."""
    over = ", ".join(f"{table.name} ({table.rows} rows)" for table in tables)
    if truncated:
        first = f"The first {count} rows of the result; there are more. Raise max_rows, add LIMIT, or ask for result csv."
    else:
        first = f"{count} row{'' if count == 1 else 's'}" + (f", of which the first {shown} are shown" if shown < count else "") + "."
    noted = [f"{table.name}: {note}" for table in tables for note in table.notes]
    return " ".join([f"{first} Read from {over}.", *noted])


__all__ = ["BadInput", "QueryError", "query"]
