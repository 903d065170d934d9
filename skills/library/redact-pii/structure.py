"""JSON redacted in place: only what is replaced changes, every other byte (spaces, order, numbers, repeated names) stays as it was.

A tokenizer with a stack walks the text, so a file of any size passes in bounded memory; only a single string value must fit. Which values go is
decided by the callables that the caller hands in. JSON Lines need nothing special: they are JSON values one after the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator

from reading import InputError

TOKEN = re.compile(r'[\s\ufeff]+|[{}\[\],:]|"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null')
STRING_CHARACTERS_MAX = 64 * 1024 * 1024
DEPTH_MAX = 1_000

Keys = tuple[str, ...]             # the names of the members in which a value stands, outermost first
# (pointer, keys, string) -> the string to put in its place, or the same.
OnString = Callable[[str, Keys, str], str]
# (pointer, keys, text of a number) -> the string to put in its place, or None to leave the number.
OnNumber = Callable[[str, Keys, str], str | None]
# (pointer of the object, key) -> the key to put in its place.
OnKey = Callable[[str, str], str]


class NotJson(Exception):
    """The text is not JSON; `offset` says where that shows."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"not JSON at character {offset}")
        self.offset = offset


class Frame:
    """One open object or array."""

    __slots__ = ("index", "is_object", "key", "outer", "pointer", "replaced", "shown", "wants_key")

    def __init__(self, is_object: bool, pointer: str, outer: Keys) -> None:
        self.is_object = is_object
        self.pointer = pointer
        self.outer = outer
        self.key = ""                      # of the member that is read now
        self.shown = ""                    # the same key as it goes out
        self.wants_key = is_object
        self.index = 0
        self.replaced: set[str] = set()    # replaced keys, so that two do not fall together


class Walker:
    """Reads JSON in pieces and yields it redacted."""

    def __init__(self, on_string: OnString, on_number: OnNumber, on_key: OnKey) -> None:
        self.on_string, self.on_number, self.on_key = on_string, on_number, on_key
        self.stack: list[Frame] = []
        self.seen = 0                      # characters of complete tokens

    def walk(self, pieces: Iterable[str]) -> Iterator[str]:
        """The redacted text. Raises `NotJson` when a token or the nesting is wrong."""
        buffer = ""
        for piece in pieces:
            buffer += piece
            out, used = self._tokens(buffer, final=False)
            buffer = buffer[used:]
            yield out
            if len(buffer) > STRING_CHARACTERS_MAX:
                raise InputError(f"a single JSON value is longer than {STRING_CHARACTERS_MAX:,} characters")
        out, used = self._tokens(buffer, final=True)
        yield out
        if used < len(buffer) or self.stack:
            raise NotJson(self.seen)

    def _tokens(self, buffer: str, final: bool) -> tuple[str, int]:
        """(redacted text of the complete tokens, characters used)."""
        out: list[str] = []
        at = 0
        while at < len(buffer):
            found = TOKEN.match(buffer, at)
            if found is None:
                if final or not could_go_on(buffer, at):
                    raise NotJson(self.seen)
                break
            if found.end() == len(buffer) and not final and buffer[at] not in '{}[],:"':
                break                      # a number, a word or white space may go on in the next piece
            out.append(self._token(found[0]))
            self.seen += found.end() - at
            at = found.end()
        return "".join(out), at

    def _token(self, token: str) -> str:
        """One token, redacted."""
        first = token[0]
        frame = self.stack[-1] if self.stack else None
        if first in " \t\r\n\ufeff":
            return token
        if first in "{[":
            if len(self.stack) >= DEPTH_MAX:
                raise InputError(f"the JSON is nested deeper than {DEPTH_MAX} levels")
            self.stack.append(Frame(first == "{", self._pointer(), self._keys()))
        elif first in "}]":
            if frame is None or frame.is_object != (first == "}"):
                raise NotJson(self.seen)
            self.stack.pop()
        elif first == ",":
            if frame is None:
                raise NotJson(self.seen)
            frame.index += 1
            frame.wants_key = frame.is_object
        elif first == ":":
            if frame is None or not frame.is_object or not frame.wants_key:
                raise NotJson(self.seen)
            frame.wants_key = False
        elif first == '"':
            return self._string(token, frame)
        elif first in "-0123456789":
            replaced = self.on_number(self._pointer(), self._keys(), token)
            return token if replaced is None else json.dumps(replaced, ensure_ascii=False)
        return token

    def _string(self, token: str, frame: Frame | None) -> str:
        """A key or a string value."""
        try:
            value = json.loads(token)
        except ValueError as error:
            raise NotJson(self.seen) from error
        if frame is not None and frame.wants_key:
            replaced = self.on_key(frame.pointer, value)
            if replaced != value:
                number, plain = 2, replaced
                while replaced in frame.replaced:
                    replaced, number = f"{plain} {number}", number + 1
                frame.replaced.add(replaced)
            frame.key, frame.shown = value, replaced
        else:
            replaced = self.on_string(self._pointer(), self._keys(), value)
        return token if replaced == value else json.dumps(replaced, ensure_ascii=False)

    def _keys(self) -> Keys:
        """The names under which the value that begins now stands."""
        if not self.stack:
            return ()
        frame = self.stack[-1]
        return (*frame.outer, frame.key) if frame.is_object else frame.outer

    def _pointer(self) -> str:
        """The JSON Pointer of the value that begins now, with redacted keys."""
        if not self.stack:
            return ""
        frame = self.stack[-1]
        last = frame.shown if frame.is_object else str(frame.index)
        return f"{frame.pointer}/{last.replace('~', '~0').replace('/', '~1')}"


def could_go_on(buffer: str, at: int) -> bool:
    """Whether what stands at `at` may be the beginning of a token that ends in the next piece."""
    rest = buffer[at:at + 6]
    return rest[0] == '"' or rest == "-" or any(word.startswith(buffer[at:]) for word in ("true", "false", "null"))
