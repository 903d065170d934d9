"""Scalars of front matter: what a plain one means, how quotes are decoded, how the rows of a block text join.

Pure functions from text to value; where a scalar begins and ends is the business of `skills.yaml`, its only caller.
Errors are ValueError with a reason; the reader adds the line.
"""

from __future__ import annotations

import re
from typing import Any

NUMBER_CHARACTERS_MAX = 400  # past every number that means something; Python itself refuses 4,300 digits

_BLOCK_INDICATOR = re.compile(r"[-?:](?=[ \t]|$)")
_BRACKET_INDICATOR = re.compile(r"-(?=[ \t,\[\]{}]|$)|[?:]")     # YAML lets `?a` and `:a` begin a scalar here, but readers differ on them
_INDICATORS = {"-": "a list entry must begin on a row of its own", "?": "a complex key (?) is not supported", ":": "a colon with no key before it"}
_RESERVED = {"&": "an anchor (&) is not supported", "*": "an alias (*) is not supported", "!": "a tag (!) is not supported",
             "%": "a value cannot begin with %", "@": "a value cannot begin with @", "`": "a value cannot begin with a backtick",
             "|": "a block text cannot begin here", ">": "a block text cannot begin here", "#": "a comment needs white space before it",
             ",": "a comma with nothing before it", "]": "a ] that closes nothing", "}": "a } that closes nothing"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)")
_ESCAPES = {"0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b", " ": " ",
            '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029"}
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONSTANTS = {"": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True,
              "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
_NAN = re.compile(r"\.(?:nan|NaN|NAN)")


def resolved(text: str) -> Any:
    """What a plain scalar means in the core schema: None, bool, int, float or the text itself. ValueError for a number of absurd length."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        if len(text) > NUMBER_CHARACTERS_MAX:
            raise ValueError(f"a number of {len(text)} digits; quote it if it is meant as text")
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(text)
    infinity = _INFINITY.fullmatch(text)
    if infinity:
        return float(infinity[1] + "inf")
    return float("nan") if _NAN.fullmatch(text) else text


def cannot_begin(row: str, column: int, inside_brackets: bool) -> str | None:
    """Why no plain scalar can begin there, or None."""
    if row[column] in _RESERVED:
        return f"{_RESERVED[row[column]]}; quote the value if it is meant as text"
    found = (_BRACKET_INDICATOR if inside_brackets else _BLOCK_INDICATOR).match(row, column)
    return _INDICATORS[found[0]] if found else None


def single(piece: str) -> str:
    """The text of one row of a single-quoted scalar."""
    return piece.replace("''", "'")


def double(piece: str) -> str:
    """The text of one row of a double-quoted scalar. ValueError for an escape that YAML does not know."""
    text = _ESCAPE.sub(_unescaped, piece) if "\\" in piece else piece
    if not _SURROGATE.search(text):
        return text
    try:        # JSON writes one character as two escapes; half of such a pair is no character
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ValueError("half of a surrogate pair in an escape; write the character itself") from None


def _unescaped(escape: re.Match[str]) -> str:
    """The character that an escape stands for."""
    name = escape[1]
    if len(name) > 1:
        code = int(name[1:], 16)
        if code > 0x10FFFF:
            raise ValueError(f"the escape \\{name} is past the last character")
        return chr(code)
    if name not in _ESCAPES:
        raise ValueError(f"the escape \\{name} is unknown; write \\\\ for a backslash, or use single quotes")
    return _ESCAPES[name]


def trimmed(piece: str, escapes: bool) -> str:
    """A row of a quoted scalar that goes on, without the white space at its end; with `escapes`, an escaped space stays."""
    bare = piece.rstrip(" \t")
    backslashes = len(bare) - len(bare.rstrip("\\"))
    return piece[:len(bare) + 1] if escapes and backslashes % 2 else bare


def block(rows: list[str], *, literal: bool, chomping: str) -> str:
    """The text of a `|` (literal) or `>` scalar from its rows without their indentation.

    `chomping` is "-" (no line feed at the end), "" (one at most) or "+" (all).
    """
    text_rows = len(rows)
    while text_rows and not rows[text_rows - 1]:
        text_rows -= 1
    own = min(text_rows, 1)
    text = "\n".join(rows[:text_rows]) if literal else _folded(rows[:text_rows])
    return text + "\n" * {"-": 0, "": own, "+": own + len(rows) - text_rows}[chomping]


def _folded(rows: list[str]) -> str:
    """Rows join with a space, but not next to rows that are indented deeper; an empty row is a line feed."""
    out: list[str] = []
    empty = 0
    after_deep: bool | None = None
    for row in rows:
        if not row:
            empty += 1
            continue
        deep = row[0] in " \t"
        if after_deep is None:
            out.append("\n" * empty)
        else:
            out.append("\n" * (empty + 1) if deep or after_deep else "\n" * empty or " ")
        out.append(row)
        after_deep, empty = deep, 0
    return "".join(out)
