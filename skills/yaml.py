"""Front matter: a reader for a strict subset of YAML 1.2 with the core schema.

Read: plain, single- and double-quoted scalars over any number of rows, block texts `|` and `>`, block and flow lists and maps, comments.
Refused with the line: anchors, aliases, tags, `? ` keys, merge keys, empty keys, directives, document markers, tabs that indent, duplicate
keys, a `key: value` pair as an item of a flow list, a member of a flow map without a colon, and all that YAML itself refuses.
Rule 1: nothing is guessed; what is read means the same to every YAML 1.2 reader, or it is an error.
Rule 2: one deviation: the bracket that closes a flow list or map may stand at the column of its key, which every common reader takes.
Rule 3: keys are text as written (`1: x` has the key "1"), because a definition is JSON in the end.
The caller bounds the size of the text; time is linear in it, and nesting is bounded here.
"""

from __future__ import annotations

import re
from typing import Any

from skills import yaml_scalars

NESTING_LEVELS_MAX = 64      # deeper front matter is an attack on the stack, not a description of a skill
KEY_CHARACTERS_MAX = 1_024   # YAML's own limit for a key without `? `

_UNPRINTABLE = re.compile(r"[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKER = re.compile(r"(?:---|\.\.\.)(?=[ \t]|$)")
_WHITE = re.compile(r"[ \t]*")
_REST = re.compile(r"[ \t]*(?:$|(?<=[ \t])#)")                  # nothing more in this row, or a comment
_BLOCK_END = re.compile(r":(?=[ \t]|$)|[ \t]#")                 # where a plain scalar ends
_FLOW_END = re.compile(r"[,\[\]{}]|:(?=[ \t,\[\]{}]|$)|[ \t]#")     # the same inside brackets
_DASH = re.compile(r"-(?=[ \t]|$)")
_COLON = re.compile(r"[ \t]*:(?=[ \t]|$)")
_HEADER = re.compile(r"[|>]([1-9]?[+-]?|[+-][1-9])(?:[ \t]+#.*|[ \t]*)")
_INSIDE = {'"': re.compile(r'[^"\\]*(?:\\.[^"\\]*)*'), "'": re.compile(r"[^']*(?:''[^']*)*")}     # up to the closing quote or the row's end


class YamlError(Exception):
    """The text is not YAML, or is beyond the subset. `line` counts from the `first_line` that the caller gave; `reason` is for a person."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


def load(text: str, first_line: int = 1, *, scalars_as_text: bool = False) -> Any:
    """The value of a document: dict, list, str, int, float, bool or None; an empty text is None.

    With `scalars_as_text` every scalar is its text as written, and an absent value is "". Raises YamlError.
    """
    return _Reader(text, first_line, scalars_as_text).document()


def load_mapping(text: str, first_line: int = 1, *, scalars_as_text: bool = False) -> tuple[dict[str, Any], dict[str, int]]:
    """A document whose top level is a map, and the line of each of its keys; an empty text is an empty map. Raises YamlError."""
    reader = _Reader(text, first_line, scalars_as_text)
    value = reader.document()
    if isinstance(value, dict):
        return value, reader.key_lines
    if value is None or value == "":
        return {}, {}
    raise YamlError(first_line, f"the top level is a {'list' if isinstance(value, list) else 'single value'}, not rows of `key: value`")


class _Reader:
    """A cursor over the rows of one document: `row` and `column` say where the next character is.

    `parent` is, everywhere, the column of the collection that a node belongs to (-1 for the document): a node ends where a row is not
    indented deeper than that. Block nodes leave the cursor on the row after them, flow nodes right after their last character.
    """

    def __init__(self, text: str, first_line: int, scalars_as_text: bool) -> None:
        self.rows = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
        self.first_line = first_line
        self.as_text = scalars_as_text
        self.row = self.column = self.depth = 0
        self.key_lines: dict[str, int] = {}

    def error(self, reason: str, row: int | None = None) -> YamlError:
        """An error at a row, the cursor's by default."""
        return YamlError(self.first_line + (self.row if row is None else row), reason)

    def document(self) -> Any:
        """The only document of the text."""
        for number, row in enumerate(self.rows):
            odd = _UNPRINTABLE.search(row)
            if odd:
                raise self.error(f"the character U+{ord(odd[0]):04X} is not printable", number)
            if _MARKER.match(row):
                raise self.error(f"a document marker ({row[:3]}): one document without markers is read", number)
        value = self.node(-1, nests=True) if self.content() >= 0 else self.scalar("", 0)
        if self.content() >= 0:
            raise self.error("this row does not belong to the value above it; check its indentation")
        return value

    def content(self) -> int:
        """Go to the next row that is more than white space and comment, from the start of the cursor's row; its indentation, -1 at the end."""
        while self.row < len(self.rows):
            rest = self.rows[self.row].lstrip(" \t")
            if rest and rest[0] != "#":
                return self.indentation()
            self.row += 1
        return -1

    def indentation(self) -> int:
        """Put the cursor on the first character of its row and return the column. A tab never indents."""
        row = self.rows[self.row]
        self.column = len(row) - len(row.lstrip(" "))
        if row[self.column] == "\t":
            raise self.error("a tab in the indentation; use spaces")
        return self.column

    def end_row(self, after: str) -> None:
        """The rest of the row may be a comment only."""
        if not _REST.match(self.rows[self.row], self.column):
            raise self.error(f"unexpected text after the {after}; quote the whole value if it is meant as text")
        self.row += 1

    def continue_inside(self, parent: int, opened: int, what: str) -> tuple[int, bool]:
        """Go on to the next row with text inside the quote or bracket that row `opened` began.

        Returns the number of empty rows passed over, and whether a comment was among them (only brackets have comments inside).
        """
        empty, comment = 0, False
        while True:
            self.row += 1
            if self.row == len(self.rows):
                raise self.error(f"the {what} is opened here and never closed", opened)
            rest = self.rows[self.row].lstrip(" \t")
            if rest and not (rest[0] == "#" and what == "bracket"):
                break
            empty, comment = empty + 1, comment or bool(rest)
        indent = self.indentation()
        if indent <= parent and not (indent == parent and what == "bracket" and rest[0] in "]}"):
            raise self.error(f"the {what} of line {self.first_line + opened} is still open: close it, or indent this row")
        return empty, comment

    # -- Block nodes --------------------------------------------------------------------------------------------------------------

    def node(self, parent: int, nests: bool) -> Any:
        """The block node at the cursor; `nests` says whether a block list or map may begin at this place of the row."""
        if nests and self.at_dash():
            return self.block_list()
        key = self.key() if nests else None
        if key:
            return self.block_map(*key)
        first = self.rows[self.row][self.column]
        if first in "|>":
            return self.block_text(parent)
        if first not in "[{\"'":
            return self.plain(parent)
        value = self.flow(parent, self.row)
        self.end_row("closing bracket" if first in "[{" else "closing quote")
        return value

    def at_dash(self) -> bool:
        """Whether the cursor is on the dash of a list entry."""
        return bool(_DASH.match(self.rows[self.row], self.column))

    def key(self) -> tuple[str, int] | None:
        """The key at the cursor and the column after its colon; None when this is not `key:`."""
        row = self.rows[self.row]
        mark = row[self.column]
        if mark in _INSIDE:
            stop = self.past(_INSIDE[mark], self.column + 1)
            colon = _COLON.match(row, stop + 1) if row.startswith(mark, stop) else None
            return (self.decoded(row[self.column + 1:stop], mark), colon.end()) if colon else None
        if mark in "[{|>":
            return None
        self.may_begin(inside_brackets=False)
        end = _BLOCK_END.search(row, self.column)
        if end is None or end[0] != ":":
            return None
        return row[self.column:end.start()].rstrip(" \t"), end.end()

    def block_map(self, key: str, after: int) -> dict[str, Any]:
        """The block map whose first key is at the cursor."""
        column = self.column
        result: dict[str, Any] = {}
        self.deeper()
        while True:
            self.new_key(result, key, self.row)
            self.column = after
            result[key] = self.entry(column, of_map=True)
            if not self.goes_on(column):
                break
            found = None if self.at_dash() else self.key()
            if found is None:
                raise self.error("expected `key: value` here; text that goes on must be indented deeper than its key")
            key, after = found
        self.depth -= 1
        return result

    def block_list(self) -> list[Any]:
        """The block list whose first dash is at the cursor."""
        column = self.column
        result: list[Any] = []
        self.deeper()
        while True:
            self.column += 1
            result.append(self.entry(column, of_map=False))
            if not (self.goes_on(column) and self.at_dash()):
                break
        self.depth -= 1
        return result

    def goes_on(self, column: int) -> bool:
        """Whether the next row belongs to the collection at `column`."""
        indent = self.content()
        if indent > column:
            raise self.error("this row is indented deeper than the value above it allows")
        return indent == column

    def entry(self, column: int, of_map: bool) -> Any:
        """The value after the `key:` or the `-` of the collection at `column`; the cursor is right after that."""
        row = self.rows[self.row]
        start = self.column
        if not _REST.match(row, start):
            self.column = self.past(_WHITE, self.column)
            return self.node(column, nests=not of_map and "\t" not in row[start:self.column])
        self.row += 1
        indent = self.content()
        if indent > column or (of_map and indent == column and self.at_dash()):
            return self.node(column, nests=True)
        return self.scalar("", self.row)

    def plain(self, parent: int) -> Any:
        """A plain scalar of block context, over as many rows as are indented deeper than `parent`."""
        self.may_begin(inside_brackets=False)
        opened = self.row
        out: list[str] = []
        while True:
            row = self.rows[self.row]
            end = _BLOCK_END.search(row, self.column)
            if end and end[0] == ":":
                raise self.error("a colon with a space after it inside an unquoted value; quote the value")
            out.append(row[self.column:end.start() if end else len(row)].rstrip(" \t"))
            self.row += 1
            start = self.row
            indent = -1 if end else self.content()      # a comment ends the value, in its row or below
            if indent <= parent or any("#" in passed for passed in self.rows[start:self.row]):
                return self.scalar("".join(out), opened)
            out.append("\n" * (self.row - start) or " ")

    def block_text(self, parent: int) -> str:
        """A `|` or `>` scalar with its header at the cursor."""
        header = _HEADER.fullmatch(self.rows[self.row], self.column)
        if header is None:
            raise self.error("after | or > only an indentation digit, + or -, and a comment may stand; the text begins on the next row")
        opened, digit = self.row, header[1].strip("+-")
        indent = max(parent, 0) + int(digit) if digit else None
        rows: list[str] = []
        self.row += 1
        while self.row < len(self.rows):
            row = self.rows[self.row]
            spaces = len(row) - len(row.lstrip(" "))
            if spaces < len(row) and indent is None and spaces > parent:
                indent = spaces
                if any(len(empty) > indent for empty in self.rows[opened + 1:self.row]):
                    raise self.error("an empty row above has more spaces than this first row of the text")
            if spaces < len(row) and (indent is None or spaces < indent):
                if not row.strip(" \t"):
                    raise self.error("a tab in the indentation of a block text; use spaces")
                break
            rows.append("" if indent is None else row[indent:])
            self.row += 1
        return yaml_scalars.block(rows, literal=header[0][0] == "|", chomping=header[1].strip("123456789"))

    # -- Flow nodes and quotes ------------------------------------------------------------------------------------------------------

    def flow(self, parent: int, bracket: int) -> Any:
        """The list, map or quoted scalar at the cursor, or, inside brackets, a plain one; row `bracket` opened the brackets around it."""
        first, opened = self.rows[self.row][self.column], self.row
        if first in _INSIDE:
            return self.quoted(parent)
        if first not in "[{":
            return self.scalar(self.flow_plain(parent, bracket), opened)
        self.deeper()
        self.column += 1
        value = self.flow_list(parent, opened) if first == "[" else self.flow_map(parent, opened)
        self.column += 1
        self.depth -= 1
        return value

    def flow_list(self, parent: int, opened: int) -> list[Any]:
        """The items of `[a, b]`, up to its closing bracket."""
        result: list[Any] = []
        while self.flow_next(parent, opened) != "]":
            result.append(self.flow(parent, opened))
            self.flow_comma(parent, opened, "]")
        return result

    def flow_map(self, parent: int, opened: int) -> dict[str, Any]:
        """The members of `{a: b, c: d}`, up to its closing bracket; a key stands on one row with its colon."""
        result: dict[str, Any] = {}
        while (first := self.flow_next(parent, opened)) != "}":
            key_row = self.row
            if first in "[{":
                raise self.error("a list or map as a key is not supported")
            key = self.quoted(parent) if first in _INSIDE else self.flow_plain(parent, opened)
            if self.flow_next(parent, opened) != ":" or self.row != key_row:
                raise self.error("a member of a { } map needs `key: value`; quote the value if it is meant as text", key_row)
            self.new_key(result, key, key_row)
            self.column += 1
            result[key] = self.scalar("", key_row) if self.flow_next(parent, opened) in ",}" else self.flow(parent, opened)
            self.flow_comma(parent, opened, "}")
        return result

    def flow_next(self, parent: int, opened: int) -> str:
        """Pass over white space, comments and row ends inside brackets; the character there."""
        while _REST.match(self.rows[self.row], self.column):
            self.continue_inside(parent, opened, "bracket")
        self.column = self.past(_WHITE, self.column)
        return self.rows[self.row][self.column]

    def flow_comma(self, parent: int, opened: int, closer: str) -> None:
        """After an item: pass over its comma, or stay on the closing bracket."""
        found = self.flow_next(parent, opened)
        if found == ",":
            self.column += 1
        elif found == ":":
            raise self.error("a `key: value` pair as an item of a [ ] list is not supported; put it into braces, or quote it")
        elif found != closer:
            raise self.error(f"expected a comma or {closer} here")

    def flow_plain(self, parent: int, bracket: int) -> str:
        """A plain scalar inside brackets, as text; it may go on over rows."""
        self.may_begin(inside_brackets=True)
        out: list[str] = []
        while True:
            row = self.rows[self.row]
            end = _FLOW_END.search(row, self.column)
            stop = end.start() if end else len(row)
            out.append(row[self.column:stop].rstrip(" \t"))
            self.column = stop
            if end:
                return "".join(out)
            empty, comment = self.continue_inside(parent, bracket, "bracket")
            if comment or _FLOW_END.match(self.rows[self.row], self.column):
                return "".join(out)
            out.append("\n" * empty or " ")

    def quoted(self, parent: int) -> str:
        """A quoted scalar with its opening quote at the cursor; row ends fold into spaces, empty rows into line feeds."""
        mark, opened = self.rows[self.row][self.column], self.row
        out: list[str] = []
        self.column += 1
        while True:
            row = self.rows[self.row]
            stop = self.past(_INSIDE[mark], self.column)
            piece = row[self.column:stop]
            if row.startswith(mark, stop):
                self.column = stop + 1
                return "".join(out) + self.decoded(piece, mark)
            joins = stop < len(row)     # only a backslash at the end of a row stops the pattern before it
            out.append(self.decoded(piece if joins else yaml_scalars.trimmed(piece, mark == '"'), mark))
            empty, _ = self.continue_inside(parent, opened, "quote")
            if joins and empty:
                raise self.error("an empty row after a backslash at the end of a row: readers differ on what that means")
            out.append("\n" * empty or ("" if joins else " "))

    def past(self, pattern: re.Pattern[str], column: int) -> int:
        """The column after what matches there in the cursor's row."""
        found = pattern.match(self.rows[self.row], column)
        return found.end() if found else column

    def decoded(self, piece: str, mark: str) -> str:
        """The text of one row of a quoted scalar."""
        try:
            return yaml_scalars.double(piece) if mark == '"' else yaml_scalars.single(piece)
        except ValueError as why:
            raise self.error(str(why)) from None

    def scalar(self, text: str, row: int) -> Any:
        """The value of a plain scalar that begins in `row`."""
        try:
            return text if self.as_text else yaml_scalars.resolved(text)
        except ValueError as why:
            raise self.error(str(why), row) from None

    def may_begin(self, inside_brackets: bool) -> None:
        """Refuse what cannot begin a plain scalar."""
        refusal = yaml_scalars.cannot_begin(self.rows[self.row], self.column, inside_brackets)
        if refusal:
            raise self.error(refusal)

    def new_key(self, result: dict[str, Any], key: str, row: int) -> None:
        """Refuse a key that the map has, that is too long or means a merge; note the line of a top-level key."""
        if key == "<<":
            raise self.error("a merge key (<<) is not supported", row)
        if key in result:
            raise self.error(f"the key {key[:80]!r} stands here a second time", row)
        if len(key) > KEY_CHARACTERS_MAX:
            raise self.error(f"a key of {len(key)} characters; at most {KEY_CHARACTERS_MAX}", row)
        if self.depth == 1:
            self.key_lines[key] = self.first_line + row

    def deeper(self) -> None:
        """Enter a list or map."""
        self.depth += 1
        if self.depth > NESTING_LEVELS_MAX:
            raise self.error(f"nested deeper than {NESTING_LEVELS_MAX} levels")
