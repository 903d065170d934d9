"""Where the members of a `skill.toml` stand, for error messages and for edits: tomllib gives no positions.

A scanner over a text that tomllib has read without an error: it checks nothing, it only walks keys and steps over values, so it knows the
same strings (one-line and multi-line), arrays, inline tables and comments, and is not misled by brackets or keys inside of them.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

TOML_LEVELS_MAX = 64     # of tables, arrays and dotted keys; a contract is shallow, deeper is an attack on the stack

Path = tuple[str | int, ...]

_SPACE = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_SCALAR = re.compile(r'''"""(?:[^"\\]++|\\[\s\S]|"(?!""))*"{3,5}|\'\'\'(?:[^']++|'(?!''))*'{3,5}'''
                     r'''|"(?:[^"\\\n]++|\\.)*"|'[^'\n]*'|[^,\]}\n#]+''')


class TomlLines:
    """The line of every member of one TOML document, and the place of its value, in characters, with a line end as one.

    A path is keys and indexes from the top: `line_of("steps", 1, "retry", "attempts")` is a member of the second `[[steps]]`. `members_end` is where
    the last value above the tables ends (0: there is none), `tables_at` where the first table begins (or the text ends).
    """

    def __init__(self, text: str) -> None:
        """Scan a text that tomllib accepts. Raises ValueError, worded and placed as tomllib does it, when it is nested too deeply."""
        self._text = text.replace("\r\n", "\n")
        self._feeds = [found.start() for found in re.finditer("\n", self._text)]
        self._at = 0
        self._lines: dict[Path, int] = {(): 1}
        self._spans: dict[Path, tuple[int, int]] = {}
        self._counts: dict[Path, int] = {}      # of the tables of each `[[name]]` so far
        self.members_end, self.tables_at = 0, len(self._text)
        self._scan()

    def line_of(self, *path: str | int) -> int:
        """The line where the member begins, or else the nearest thing around it that is there; 1 for an empty document."""
        for size in range(len(path), 0, -1):
            if path[:size] in self._lines:
                return self._lines[path[:size]]
        return 1

    def span_of(self, *path: str | int) -> tuple[int, int] | None:
        """Where the value of a member begins and ends, None if there is no such value."""
        return self._spans.get(path)

    def _scan(self) -> None:
        """Walk headers and `key = value` rows from top to bottom."""
        table: Path = ()
        while True:
            self._pass(_SPACE)
            if self._at == len(self._text):
                return
            if self._text[self._at] == "[":
                self.tables_at = min(self.tables_at, self._at)
                table = self._header()
            else:
                self._member(table)
                self.members_end = self.members_end if table else self._at

    def _header(self) -> Path:
        """`[a.b]` or `[[a.b]]`; the path of the table that it opens."""
        line, doubled = self._line(), self._text.startswith("[[", self._at)
        self._at += 2 if doubled else 1
        keys = self._keys()
        self._pass(_SPACE)
        self._at += 2 if doubled else 1
        path: Path = ()
        for key in keys[:-1]:
            path = self._note((*path, key), line, again=False)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        path = (*path, keys[-1])
        if doubled:
            self._note(path, line, again=False)
            self._counts[path] = self._counts.get(path, 0) + 1
            path = (*path, self._counts[path] - 1)
        return self._note(path, line)

    def _member(self, table: Path) -> None:
        """`a.b = value` of a table, also of an inline one."""
        line, path = self._line(), table
        for key in self._keys():
            path = self._note((*path, key), line, again=False)
        self._pass(_EQUALS)
        self._value(path)

    def _keys(self) -> list[str]:
        """The parts of a dotted key at the cursor."""
        keys = []
        while True:
            self._pass(_SPACE)
            raw = self._pass(_KEY)
            keys.append(tomllib.loads(f"key = {raw}")["key"] if raw[0] in "\"'" else raw)
            if not self._pass(_DOT):
                return keys

    def _value(self, path: Path) -> None:
        """Step over the value at the cursor, noting what is inside of it."""
        first, start = self._text[self._at], self._at
        if first not in "[{":
            self._pass(_SCALAR)
            self._spans[path] = (start, self._at)
            return
        self._at += 1
        index = 0
        while True:
            self._pass(_SPACE)
            if self._text[self._at] in "]}":
                break
            if first == "{":
                self._member(path)
            else:
                self._value(self._note((*path, index), self._line()))
            index += 1
            self._pass(_SPACE)
            self._at += self._text[self._at] == ","
        self._at += 1
        self._spans[path] = (start, self._at)

    def _pass(self, pattern: re.Pattern[str]) -> str:
        """Step over what matches at the cursor; the text of it, "" when nothing does."""
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found[0] if found else ""

    def _line(self) -> int:
        """The line of the cursor."""
        return bisect_right(self._feeds, self._at - 1) + 1

    def _note(self, path: Path, line: int, again: bool = True) -> Path:
        """Keep the line of a path, over an earlier one only with `again`; returns the path."""
        if len(path) > TOML_LEVELS_MAX:
            raise ValueError(f"nested deeper than {TOML_LEVELS_MAX} levels (at line {line}, column 1)")
        if again or path not in self._lines:
            self._lines[path] = line
        return path
