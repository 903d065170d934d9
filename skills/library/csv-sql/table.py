"""A delimited table read row by row: which separator, which quotes, is there a header, and every row with its line number.

`Table` looks at the first part of the text, decides the dialect, and `rows` then gives all rows with bounded memory. What is odd about the
text (blank lines, NUL characters, a quote that never closes) is counted in `trouble`, not raised. Ragged rows are given as they are.
The same file lies in every skill that reads tables, because a skill folder is a bundle of its own.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from decoding import BadInput, Encoding, encoding_of, opened, size_of
from forms import is_typed

SAMPLE_CHARACTERS = 262_144        # what the dialect is judged by: thousands of rows, read in a few milliseconds
FIELD_CHARACTERS_MAX = 16 * 2**20  # a field or line beyond this is a quote that never closes, or not a table
SEPARATORS = ",;\t|"
COLUMNS_MAX = 16_384               # what spreadsheets stop at
UNCLOSED_MAX = 100                 # quotes that never close before quotes mean nothing: each costs a second reading of what it swallowed
QUOTES_MIN = 5                     # quotes below which their balance tells nothing
QUOTES_ODD_SHARE = 0.2             # opening and closing quotes that may differ before quotes are taken as plain characters
TYPED_SHARE_MIN = 0.8              # a column of numbers or dates, for the question whether the first row is a header
WIDTH_SHARE_MIN = 0.9              # rows that must agree before the header is believed to lack a name
YEARS = range(1500, 2101)          # numbers that stand in headers


@dataclass(frozen=True)
class Dialect:
    """How the text is written. `header_found_by` says why the first row is or is not taken as names."""

    separator: str
    quote: str | None
    escape: str | None
    header: bool
    header_found_by: str
    skipped_lines: int      # title lines above the table, and Excel's `sep=` line

    def to_json(self) -> dict[str, str | int | bool | None]:
        """The dialect as a member of an output."""
        return {"separator": self.separator, "quote": self.quote, "escape": self.escape, "header": self.header,
                "header_found_by": self.header_found_by, "skipped_lines": self.skipped_lines}


@dataclass
class Trouble:
    """What was wrong with the text, counted while the rows are read."""

    blank_lines: int = 0
    nul_characters: int = 0
    unclosed_quotes: list[int] = field(default_factory=list)    # line numbers; after UNCLOSED_MAX quotes are plain characters


class Table:
    """A table in a text. `names` are unique and never empty; `sample` holds the first data rows; `notes` are sentences about odd things."""

    def __init__(self, text: str | Path, *, encoding: str | None = None, separator: str | None = None, header: bool | None = None) -> None:
        """Look at the text and decide how to read it; what is given is obeyed. Raises BadInput for an empty or a binary text."""
        self.text = text
        self.encoding: Encoding = encoding_of(text, encoding)
        self.trouble = Trouble()
        self.notes: list[str] = []
        self._size = max(1, size_of(text))
        self._stream: TextIO | None = None
        start, declared, first_line = self._beginning()
        self._separator = separator or declared or _best_separator(start)
        self._quote, self._escape = _quoting(start, self._separator)
        rows = [row for row in _parsed(start, self._reader_options()) if any(cell.strip() for cell in row[1])]
        if not rows:
            raise BadInput("The text holds no rows: it is empty or has only blank lines.")
        self.width = Counter(len(cells) for _, cells in rows).most_common(1)[0][0]
        rows = rows if header is False else self._without_titles(rows)
        named, found_by = _header(rows, header)
        self._first_line = (rows[0][0] if rows else 1) + first_line
        self.dialect = Dialect(self._separator, self._quote, self._escape, named, found_by, self._first_line - 1)
        self.sample = [cells for _, cells in (rows[1:] if named else rows)]
        self.names = self._named(rows[0][1] if named else [])
        if self.width > COLUMNS_MAX:
            raise BadInput(f"The table has {self.width} columns; at most {COLUMNS_MAX} are read.")

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Every data row as (line number, cells), as wide as it is. Starts from the beginning each time it is called."""
        csv.field_size_limit(FIELD_CHARACTERS_MAX)
        self.trouble = Trouble()
        with opened(self.text, self.encoding) as stream:
            self._stream = stream
            records = _records(_Feed(stream, self.trouble), self._reader_options(), self.trouble)
            header_due = self.dialect.header
            for line, cells in records:
                if line < self._first_line:
                    continue
                if header_due:
                    header_due = False
                elif cells and (len(cells) > 1 or self.width == 1 or cells[0].strip()):
                    yield line, cells
                else:
                    self.trouble.blank_lines += 1
        self._stream = None

    def fraction(self) -> float:
        """How much of the text has been read, 0 to 1."""
        if self._stream is None:
            return 1.0
        return min(1.0, getattr(self._stream, "buffer", self._stream).tell() / self._size)

    def _reader_options(self) -> dict[str, Any]:
        """Keyword arguments of csv.reader for this text."""
        if self._quote is None:
            return {"delimiter": self._separator, "quoting": csv.QUOTE_NONE}
        return {"delimiter": self._separator, "quotechar": self._quote, "escapechar": self._escape, "doublequote": True}

    def _beginning(self) -> tuple[str, str | None, int]:
        """(the first part of the text, cut at a line end; the separator that a `sep=` line declares; the lines that took)."""
        with opened(self.text, self.encoding) as stream:
            start = stream.read(SAMPLE_CHARACTERS)
        if len(start) == SAMPLE_CHARACTERS:
            cut = max(start.rfind("\n"), start.rfind("\r"))
            start = start[:cut + 1] if cut > 0 else start
        start = start.replace("\0", "")
        declared = re.match(r"sep=([,;\t|:])\r?\n", start, re.IGNORECASE)
        return (start[declared.end():], declared[1], 1) if declared else (start, None, 0)

    def _without_titles(self, rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
        """The rows without lines of one filled cell that stand above a table of three columns or more."""
        if self.width < 3:
            return rows
        at = 0
        while at < len(rows) - 1 and sum(bool(cell.strip()) for cell in rows[at][1]) <= 1:
            at += 1
        if at:
            self.notes.append(f"{at} title line{'s' if at > 1 else ''} above the table {'were' if at > 1 else 'was'} skipped.")
        return rows[at:]

    def _named(self, header: list[str]) -> list[str]:
        """Unique names for all columns, and notes on those that had to be made."""
        names = [name.strip() for name in header]
        if not header:
            names = [f"column_{n}" for n in range(1, self.width + 1)]
        elif len(names) + 1 == self.width and self._rows_share(self.width) >= WIDTH_SHARE_MIN:
            if any(len(row) == self.width and row[-1].strip() for row in self.sample):
                self.notes.append("The header has one name fewer than the rows have cells: the first column is taken as row names.")
                names.insert(0, "row_name")
        elif len(names) < self.width:
            self.notes.append(f"The header has {len(names)} names, most rows have {self.width} cells.")
        self.width = max(self.width, len(names))
        names += [""] * (self.width - len(names))
        unnamed = [n for n, name in enumerate(names, 1) if not name]
        if unnamed:
            self.notes.append(f"Columns without a name: {', '.join(map(str, unnamed[:10]))}.")
        return self._unique([name or f"column_{n}" for n, name in enumerate(names, 1)])

    def _unique(self, names: list[str]) -> list[str]:
        """The names with `_2`, `_3` added to those that stand twice."""
        counts = Counter(names)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            self.notes.append(f"Names that stand more than once: {', '.join(twice[:10])}.")
        taken, unique = set(names), []
        seen: Counter[str] = Counter()
        for name in names:
            seen[name] += 1
            while seen[name] > 1 and f"{name}_{seen[name]}" in taken:
                seen[name] += 1
            unique.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
            taken.add(unique[-1])
        return unique

    def _rows_share(self, width: int) -> float:
        """The share of sample rows with this many cells."""
        return sum(len(row) == width for row in self.sample) / max(1, len(self.sample))


class _Feed:
    """Lines for csv.reader that can be put back. `held` are those of the row being read; `ended` is set when the text is."""

    def __init__(self, stream: TextIO, trouble: Trouble) -> None:
        self.stream, self.trouble = stream, trouble
        self.back: deque[str] = deque()
        self.held: list[str] = []
        self.number = 0
        self.ended = False

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self.back.popleft() if self.back else self.stream.readline(FIELD_CHARACTERS_MAX)
        if not line:
            self.ended = True
            raise StopIteration
        if len(line) == FIELD_CHARACTERS_MAX:
            raise BadInput(f"Line {self.number + 1} is longer than {FIELD_CHARACTERS_MAX} characters: this is not a table.")
        if "\0" in line:
            self.trouble.nul_characters += line.count("\0")
            line = line.replace("\0", "")
        self.number += 1
        self.held.append(line)
        return line

    def keep_first(self) -> str:
        """Put all lines of the row back but its first, which is returned."""
        first, *rest = self.held
        self.back.extendleft(reversed(rest))
        self.number -= len(rest)
        self.ended = False
        return first


def _records(feed: _Feed, options: dict[str, Any], trouble: Trouble) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of every record. A record whose quote never closes ends with its first line, and reading goes on after it."""
    reader = csv.reader(feed, **options)
    while True:
        feed.held.clear()
        line = feed.number + 1
        try:
            cells = next(reader)
            swallowed = feed.ended      # the reader had to ask for more lines and there were none
        except StopIteration:
            return
        except csv.Error:
            swallowed = True
        if swallowed:
            trouble.unclosed_quotes.append(line)
            unquoted = {"delimiter": options["delimiter"], "quoting": csv.QUOTE_NONE}
            cells = next(csv.reader([feed.keep_first()], **unquoted))
            reader = csv.reader(feed, **(unquoted if len(trouble.unclosed_quotes) >= UNCLOSED_MAX else options))
        yield line, cells


def _parsed(start: str, options: dict[str, Any]) -> list[tuple[int, list[str]]]:
    """The rows of a piece of text."""
    csv.field_size_limit(FIELD_CHARACTERS_MAX)
    trouble = Trouble()
    return list(_records(_Feed(io.StringIO(start, newline=""), trouble), options, trouble))


def _best_separator(start: str) -> str:
    """The separator whose rows agree best on a width of two or more; a comma when none does."""
    best, best_score = ",", 0.0
    for separator in SEPARATORS:
        if separator not in start:
            continue
        widths = Counter(len(cells) for _, cells in _parsed(start, {"delimiter": separator, "quotechar": '"'}) if cells)
        width, count = max(widths.items(), key=lambda item: (item[1] * (item[0] > 1), item[0]))
        score = (count / sum(widths.values())) ** 2 * (1 + math.log2(width)) if width > 1 else 0.0
        if score > best_score:
            best, best_score = separator, score
    return best


def _quoting(start: str, separator: str) -> tuple[str | None, str | None]:
    """(quote character, escape character). Quotes that do not open and close evenly are plain characters; single quotes count only where
    double ones are not used; a backslash escapes only where one stands before a quote inside a field."""
    edge = re.escape(separator)
    double = len(re.findall(rf'(?:^|{edge})"', start, re.MULTILINE))
    closing = len(re.findall(rf'"(?={edge}|\r|\n|\Z)', start))
    if max(double, closing) >= QUOTES_MIN and abs(double - closing) > QUOTES_ODD_SHARE * max(double, closing):
        return None, None
    single = len(re.findall(rf"(?:^|{edge})'[^'\n]*'(?={edge}|$)", start, re.MULTILINE))
    if single and not double:
        return "'", None
    escaped = re.search(rf'\\"(?!{edge}|\r|\n|$)', start)
    doubled = re.search(rf'[^{edge}\r\n]""', start)
    return '"', "\\" if double and escaped and not doubled else None


def _header(rows: list[tuple[int, list[str]]], given: bool | None) -> tuple[bool, str]:
    """(is the first row a header, how that was found): a vote of the columns, typed body under an untyped first cell."""
    if given is not None:
        return given, "given"
    first, body = rows[0][1], [cells for _, cells in rows[1:1_001]]
    votes = 0
    for n, head in enumerate(first):
        cells = [cells[n].strip() for cells in body if n < len(cells) and cells[n].strip()]
        typed = bool(cells) and sum(map(is_typed, cells)) / len(cells) >= TYPED_SHARE_MIN
        head = head.strip()
        if is_typed(head):
            votes -= 0 if _is_year(head) and not all(map(_is_year, cells)) else 1
        elif head:
            votes += 1 if typed else -1 if head in cells and len(set(cells)) < len(cells) / 2 else 0
    if votes:
        return votes > 0, "types"
    words = [cell.strip() for cell in first if not is_typed(cell)]
    plain = len(set(first)) == len(first) and words and all(words) and all(_is_year(cell.strip()) for cell in first if is_typed(cell))
    return bool(plain), "assumed"


def _is_year(cell: str) -> bool:
    """Whether a number could stand for a year."""
    return len(cell) == 4 and cell.isascii() and cell.isdigit() and int(cell) in YEARS
