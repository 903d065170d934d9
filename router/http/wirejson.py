"""JSON at the wire: strict on the way in, compact on the way out. The only place that parses or prints JSON for HTTP.

`decode` takes what RFC 8259 calls JSON and every parser reads in the same way: UTF-8, no NaN or Infinity, no duplicate names, no lone
surrogates, numbers that Python can hold, bounded depth. The C parser does the work; only a refusal pays for finding line and column.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import accumulate
from typing import Any

from state.compact import encoder
from state.errors import InvalidJson

JSON_DEPTH_MAX = 128                  # levels: Python code that walks a value recursively uses several frames a level, of 1,000
PLACE_TOKENS_MAX = 50_000             # looked at for the place of a refusal: 20 ms; beyond it the detail says "after"
NAME_SHOWN_CHARACTERS = 80

_BOM = b"\xef\xbb\xbf"
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_DEPTH_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_STRING = r'"(?:[^"\\]++|\\.)*"'
_STRINGS = re.compile(_STRING.encode(), re.DOTALL)
_TOKENS = re.compile(rf"{_STRING}|[\[\]{{}}:,]|-?[A-Za-z0-9.+-]+", re.DOTALL)
_NO_LONE_SURROGATE = re.compile(r"(?:[^\\]++|\\[^u]|\\u(?:[^dD]...|[dD][0-7]..|[dD][89abAB]..\\u[dD][c-fC-F]..))*")
_encode = encoder()


class _Refused(ValueError):
    """A value that Python's parser takes and we do not; the place is looked for afterwards."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise _Refused(f"the name {twice[:NAME_SHOWN_CHARACTERS]!r} appears twice in one object")
    return made


def _constant(name: str) -> Any:
    raise _Refused(f"{name} is not JSON")


def _number(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise _Refused("a number is too large")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)


def encode(value: Any) -> bytes:
    """`value` as compact UTF-8 JSON. A lone surrogate becomes U+FFFD, so that printing a string never fails; NaN raises ValueError."""
    text = _encode(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def decode(body: bytes) -> Any:
    """The value of a JSON text, or InvalidJson with `line` and `column` (from 1)."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _invalid("the body is not UTF-8", body[:error.start].decode(), len(body[:error.start].decode())) from None
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        why = "the body is empty" if not body.strip() else "a byte order mark is not JSON" if body.startswith(_BOM) else error.msg
        raise InvalidJson(f"{why} (line {error.lineno}, column {error.colno})", line=error.lineno, column=error.colno) from None
    except _Refused as error:
        raise _invalid(str(error), text, _place(text)) from None
    except RecursionError:
        raise _invalid(f"arrays and objects are nested more than {JSON_DEPTH_MAX} deep", text, _place(text)) from None
    except ValueError:
        raise _invalid("an integer has too many digits", text, _place(text)) from None
    if _too_deep(body):
        raise _invalid(f"arrays and objects are nested more than {JSON_DEPTH_MAX} deep", text, _place(text))
    if "\\ud" in text or "\\uD" in text:
        paired = _NO_LONE_SURROGATE.match(text)
        if paired and paired.end() != len(text):
            raise _invalid("an escape is half of a surrogate pair", text, paired.end())
    return value


def _too_deep(body: bytes) -> bool:
    """Whether a valid JSON text is too deep. Brackets inside strings are only told apart when they would decide it."""
    if body.count(b"[") + body.count(b"{") <= JSON_DEPTH_MAX:
        return False
    return _depth(body) > JSON_DEPTH_MAX and _depth(_STRINGS.sub(b"", body)) > JSON_DEPTH_MAX


def _depth(body: bytes) -> int:
    return max(accumulate(map(_DEPTH_STEP.__getitem__, body.translate(None, _NOT_BRACKETS))), default=0)


def _place(text: str) -> int:
    """Where the first thing stands that `decode` refuses beyond the grammar: a second name, a constant, a number, a level too deep.

    Negative where the search was given up: nothing of that kind stands before its absolute value.
    """
    names: list[set[str] | None] = []        # one set of names an open object, None an open array
    previous = ""
    for count, match in enumerate(_TOKENS.finditer(text)):
        token = match[0]
        if count == PLACE_TOKENS_MAX:
            return -match.start()
        if token in ("{", "["):
            names.append(set() if token == "{" else None)
            if len(names) > JSON_DEPTH_MAX:
                return match.start()
        elif token in ("}", "]"):
            names.pop()
        elif token[0] == '"':
            seen = names[-1] if names and previous in ("{", ",") else None
            if seen is not None:
                name = json.loads(token)
                if name in seen:
                    return match.start()
                seen.add(name)
        elif not _plain(token):
            return match.start()
        previous = token
    return len(text)


def _plain(token: str) -> bool:
    """Whether a token outside strings is a literal or a number that is taken."""
    if token in ("true", "false", "null", ":", ","):
        return True
    try:
        _DECODER.decode(token)
    except ValueError:
        return False
    return True


def _invalid(why: str, text: str, at: int) -> InvalidJson:
    after, at = ("after " if at < 0 else ""), abs(at)
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    return InvalidJson(f"{why} ({after}line {line}, column {column})", line=line, column=column)
