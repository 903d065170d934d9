"""JSON values as JSON Schema sees them, and what is said about one that does not fit.

`1.0` is an integer, `true` is not 1, equality is deep: all of that is decided here and nowhere else, as is the one exception of this
house, the reference to an artifact. `Failures` and `STOP` are the two ways to hear of a failure: list them, or end at the first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

ARTIFACT = re.compile(r"sha256:[0-9a-f]{64}")
VALUE_TEXT_CHARACTERS_MAX = 60        # a value quoted in a message: enough to recognise it, never the document

NULL: tuple[type, ...] = (type(None),)
BOOLEAN: tuple[type, ...] = (bool,)
NUMBER: tuple[type, ...] = (int, float)
STRING: tuple[type, ...] = (str,)
ARRAY: tuple[type, ...] = (list,)
OBJECT: tuple[type, ...] = (dict,)
ANY: tuple[type, ...] = NULL + BOOLEAN + NUMBER + STRING + ARRAY + OBJECT

KINDS = {"null": "null", "boolean": "a boolean", "integer": "an integer", "number": "a number", "string": "a string", "array": "an array",
         "object": "an object"}       # the type names of JSON Schema, and how a message says them

At: TypeAlias = "tuple[At, str | int] | None"                          # the way into the instance, innermost last; None is its root
Seen: TypeAlias = "set[str | int] | None"                              # members or items that were evaluated; None when nobody asks
Check: TypeAlias = "Callable[[Any, At, Sink, Seen], None]"             # tells the sink what does not fit


class SchemaError(Exception):
    """A schema that cannot be used: `pointer` (RFC 6901) says where in it, `reason` why."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"at {pointer or 'the root'}: {reason}")
        self.pointer = pointer
        self.reason = reason


class SchemaFailure(NamedTuple):
    """One way in which an instance does not fit: where in the instance, by which keyword, in words, and where in the schema."""

    pointer: str
    keyword: str
    message: str
    schema_pointer: str


class Enough(Exception):
    """Raised by a sink that wants to hear no more; never leaves the validator."""


class Sink:
    """Hears of failures. This one ends the check at the first, which is how a yes or no is found."""

    __slots__ = ()

    def fail(self, at: At, keyword: str, place: str, message: str, *values: object) -> None:
        """The value at `at` does not fit `keyword` at `place` of the schema; `values` fill the braces of `message`, if it is ever read."""
        raise Enough


class Failures(Sink):
    """Writes down the first `limit` failures, then ends the check."""

    __slots__ = ("found", "limit")

    def __init__(self, limit: int) -> None:
        self.found: list[SchemaFailure] = []
        self.limit = limit

    def fail(self, at: At, keyword: str, place: str, message: str, *values: object) -> None:
        """As `Sink.fail`."""
        self.found.append(SchemaFailure(instance_pointer(at), keyword, message.format(*values), place))
        if len(self.found) >= self.limit:
            raise Enough


STOP = Sink()


def holds(check: Check, value: Any, seen: Seen = None) -> bool:
    """Whether `value` fits, found as fast as possible. `seen` may hold half an answer when it does not."""
    try:
        check(value, None, STOP, seen)
    except Enough:
        return False
    return True


def first_failure(check: Check, value: Any) -> SchemaFailure | None:
    """The first thing that does not fit, with its pointer below `value`."""
    failures = Failures(1)
    try:
        check(value, None, failures, None)
    except Enough:
        return failures.found[0]
    return None


def is_artifact_reference(value: object) -> bool:
    """Whether the value stands for content that is kept elsewhere by its hash, as `{"$artifact": "sha256:..."}`.

    It satisfies every schema but `false`: what it stands for is not here to be judged.
    """
    if type(value) is not dict:
        return False
    digest = value.get("$artifact")
    return type(digest) is str and ARTIFACT.fullmatch(digest) is not None


def identity(value: Any) -> Any:
    """A hashable stand-in that is equal for two values exactly when JSON Schema calls them equal. TypeError for what is not JSON."""
    kind = type(value)
    if kind is str or kind is int or kind is float:
        return value
    if kind is bool or value is None:
        return (kind, value)
    if kind is list:
        return (kind, *map(identity, value))
    if kind is dict:
        return (kind, frozenset((name, identity(member)) for name, member in value.items()))
    raise TypeError(f"{kind.__name__} is not a JSON type")


def is_integer(value: object) -> bool:
    """Whether a value is an integer in the sense of JSON Schema: 1 and 1.0 are, true is not."""
    return type(value) is int or (type(value) is float and value.is_integer())


def kind_of(value: object) -> str:
    """The kind of a value as a message says it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return f"the number {text_of(value)}"
    return "a string" if isinstance(value, str) else "an array" if isinstance(value, list) else "an object"


def text_of(value: object) -> str:
    """A value as JSON text, cut to a length that fits into a message."""
    if isinstance(value, str):
        value = value[:VALUE_TEXT_CHARACTERS_MAX + 1]
    elif isinstance(value, (list, dict)) and len(value) > VALUE_TEXT_CHARACTERS_MAX:
        return f"{kind_of(value)} of {len(value)}"
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:                                                 # an integer that Python refuses to print
        return "an integer of thousands of digits"
    return text if len(text) <= VALUE_TEXT_CHARACTERS_MAX else text[:VALUE_TEXT_CHARACTERS_MAX - 3] + "..."


def one_of(words: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    listed = list(words)
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} or {listed[-1]}" if listed else "nothing"


def escaped(name: str) -> str:
    """One reference token of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1") if "~" in name or "/" in name else name


def instance_pointer(at: At) -> str:
    """The JSON Pointer (RFC 6901) of a way into the instance."""
    tokens: list[str] = []
    while at is not None:
        at, step = at
        tokens.append("/" + escaped(str(step)))
    return "".join(reversed(tokens))
