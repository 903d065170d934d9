"""The keywords of JSON Schema 2020-12 that look at the value itself: types, numbers, strings, sizes, names.

Each builder turns a keyword's value into checks for the kinds of values that it concerns; the others are never asked. A keyword value of
the wrong type is refused here. Keywords that apply other schemas are in `schema_applicators`; `schema` joins the two tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

from skills.schema_patterns import PatternError, compile_pattern
from skills.schema_values import (
    ANY,
    ARRAY,
    BOOLEAN,
    KINDS,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    At,
    Check,
    SchemaError,
    Seen,
    Sink,
    identity,
    is_integer,
    kind_of,
    one_of,
    text_of,
)


class Place(Protocol):
    """A keyword where it stands in a schema: what a builder is given."""

    value: Any                    # of the keyword
    schema: dict[str, Any]        # the object that it stands in
    keyword: str
    pointer: str                  # of the keyword in the document

    def refuse(self, reason: str, *path: str | int) -> SchemaError:
        """The error for the keyword, or for what is at `path` below it."""

    def below(self, *path: str | int) -> Check:
        """The schema at `path` below the keyword, for a member or an item of the value."""

    def beside(self, *path: str | int) -> Check:
        """The schema at `path` below the keyword, for the value itself."""

    def sibling(self, keyword: str) -> Place:
        """The place of another keyword of the same schema; its value is None when it is not there."""

    def referred(self) -> Check:
        """The schema that the keyword's value, a reference, names; for the value itself."""


Built: TypeAlias = Iterator[tuple[tuple[type, ...], Check]]            # kinds of values, and the check that they get
Builder: TypeAlias = Callable[[Place], Built]
PYTHON_TYPES = {"null": NULL, "boolean": BOOLEAN, "integer": (int,), "number": NUMBER, "string": STRING, "array": ARRAY, "object": OBJECT}


def build_type(place: Place) -> Built:
    """`type`: a name or a list of names."""
    names = place.value if isinstance(place.value, list) else [place.value]
    for name in names:
        if not isinstance(name, str) or name not in KINDS:
            raise place.refuse(f"{text_of(name)} is not a type; types are {one_of(KINDS)}")
    if not names or len(set(names)) < len(names):
        raise place.refuse("must name at least one type, each of them once")
    allowed = {kind for name in names for kind in PYTHON_TYPES[name]}
    wanted = one_of(KINDS[name] for name in names)

    def refuse(value: Any, at: At, out: Sink, seen: Seen) -> None:
        out.fail(at, "type", place.pointer, "must be {}, is {}", wanted, kind_of(value))

    def check_float(value: float, at: At, out: Sink, seen: Seen) -> None:
        if not value.is_integer():
            out.fail(at, "type", place.pointer, "must be {}, is {}", wanted, kind_of(value))

    refused = set(ANY) - allowed
    if "integer" in names and "number" not in names:
        refused.discard(float)
        yield (float,), check_float
    yield tuple(kind for kind in ANY if kind in refused), refuse


def build_enum(place: Place) -> Built:
    """`enum`: a list of values."""
    if not isinstance(place.value, list):
        raise place.refuse("must be an array of values")
    return _values(place, place.value, "must be one of {}, is {}")


def build_const(place: Place) -> Built:
    """`const`: the one value."""
    return _values(place, [place.value], "must be {}, is {}")


def _values(place: Place, values: list[Any], message: str) -> Built:
    """A check for each kind of value against the listed values of that kind."""
    wanted = ", ".join(text_of(value) for value in values[:12]) + (f" or {len(values) - 12} others" if len(values) > 12 else "") or "nothing"
    try:
        identities = [(type(value), identity(value)) for value in values]
    except TypeError as error:
        raise place.refuse(f"holds what JSON cannot say: {error}") from None

    def among(allowed: Collection[Any]) -> Check:
        def check_plain(value: Any, at: At, out: Sink, seen: Seen) -> None:
            if value not in allowed:
                out.fail(at, place.keyword, place.pointer, message, wanted, text_of(value))

        return check_plain

    def among_deep(allowed: Collection[Any]) -> Check:
        def check_deep(value: Any, at: At, out: Sink, seen: Seen) -> None:
            if identity(value) not in allowed:
                out.fail(at, place.keyword, place.pointer, message, wanted, text_of(value))

        return check_deep

    for kinds in (NUMBER, STRING):
        yield kinds, among(frozenset(key for kind, key in identities if kind in kinds))
    for kinds in (BOOLEAN, NULL, ARRAY, OBJECT):
        yield kinds, among_deep(frozenset(key for kind, key in identities if kind in kinds))


def _number(place: Place) -> int | float:
    """The keyword's value, which must be a number."""
    if type(place.value) not in NUMBER:
        raise place.refuse(f"must be a number, is {kind_of(place.value)}")
    limit: int | float = place.value
    return limit


def _size(place: Place) -> int:
    """The keyword's value, which must be an integer of at least 0."""
    if not is_integer(place.value) or place.value < 0:
        raise place.refuse(f"must be an integer of at least 0, is {kind_of(place.value)}")
    return int(place.value)


def build_minimum(place: Place) -> Built:
    """`minimum`."""
    limit, pointer = _number(place), place.pointer

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        if value < limit:
            out.fail(at, "minimum", pointer, "must be at least {}, is {}", text_of(limit), text_of(value))

    yield NUMBER, check


def build_maximum(place: Place) -> Built:
    """`maximum`."""
    limit, pointer = _number(place), place.pointer

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        if value > limit:
            out.fail(at, "maximum", pointer, "must be at most {}, is {}", text_of(limit), text_of(value))

    yield NUMBER, check


def build_exclusive_minimum(place: Place) -> Built:
    """`exclusiveMinimum`."""
    limit, pointer = _number(place), place.pointer

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        if value <= limit:
            out.fail(at, "exclusiveMinimum", pointer, "must be more than {}, is {}", text_of(limit), text_of(value))

    yield NUMBER, check


def build_exclusive_maximum(place: Place) -> Built:
    """`exclusiveMaximum`."""
    limit, pointer = _number(place), place.pointer

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        if value >= limit:
            out.fail(at, "exclusiveMaximum", pointer, "must be less than {}, is {}", text_of(limit), text_of(value))

    yield NUMBER, check


def build_multiple_of(place: Place) -> Built:
    """`multipleOf`, judged on the decimal digits, so that 0.3 is a multiple of 0.1 and nothing overflows."""
    unit = _number(place)
    if not 0 < unit < float("inf"):
        raise place.refuse("must be more than 0")
    exact = int(unit) if is_integer(unit) else 0                       # 0: the unit is not whole
    fraction = _decimal(unit)

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        if exact and is_integer(value):
            fits = int(value) % exact == 0
        else:
            fits = abs(value) < float("inf") and _decimal(value) % fraction == 0
        if not fits:
            out.fail(at, "multipleOf", place.pointer, "must be a multiple of {}, is {}", text_of(unit), text_of(value))

    yield NUMBER, check


def _decimal(number: int | float) -> Fraction:
    """A number as its digits say it: 0.1 is one tenth."""
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


SIZED = {                                                              # keyword: kinds of values, at least (else at most), what is counted
    "minLength": (STRING, True, "characters"), "maxLength": (STRING, False, "characters"),
    "minItems": (ARRAY, True, "items"), "maxItems": (ARRAY, False, "items"),
    "minProperties": (OBJECT, True, "members"), "maxProperties": (OBJECT, False, "members"),
}


def build_size(place: Place) -> Built:
    """The keywords of `SIZED`. Characters are code points."""
    limit, pointer, keyword = _size(place), place.pointer, place.keyword
    kinds, at_least, things = SIZED[keyword]
    counted = things.removesuffix("s") if limit == 1 else things

    def check_least(value: Any, at: At, out: Sink, seen: Seen) -> None:
        if len(value) < limit:
            out.fail(at, keyword, pointer, "must {} at least {} {}, has {}", verb, limit, counted, len(value))

    def check_most(value: Any, at: At, out: Sink, seen: Seen) -> None:
        if len(value) > limit:
            out.fail(at, keyword, pointer, "must {} at most {} {}, has {}", verb, limit, counted, len(value))

    verb = "be" if kinds is STRING else "have"
    yield kinds, check_least if at_least else check_most


def searcher(place: Place, pattern: Any, *path: str | int) -> re.Pattern[str]:
    """A pattern ready to `search`, or the refusal at `path` below the keyword."""
    if not isinstance(pattern, str):
        raise place.refuse(f"must be a string, is {kind_of(pattern)}", *path)
    try:
        return compile_pattern(pattern)
    except PatternError as error:
        raise place.refuse(f"the pattern {text_of(pattern)} {error}", *path) from None


def build_pattern(place: Place) -> Built:
    """`pattern`: searched for, not matched as a whole."""
    search, pointer = searcher(place, place.value).search, place.pointer

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        if not search(value):
            out.fail(at, "pattern", pointer, "must match the pattern {}, is {}", place.value, text_of(value))

    yield STRING, check


def build_unique_items(place: Place) -> Built:
    """`uniqueItems`: equality is deep."""
    if not isinstance(place.value, bool):
        raise place.refuse(f"must be true or false, is {kind_of(place.value)}")

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        first: dict[Any, int] = {}
        for index, item in enumerate(value):
            earlier = first.setdefault(identity(item), index)
            if earlier != index:
                out.fail(at, "uniqueItems", place.pointer, "items must be different, {} and {} are equal", earlier, index)
                return

    if place.value:
        yield ARRAY, check


def _names(place: Place, value: Any, *path: str | int) -> list[str]:
    """A list of different strings."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise place.refuse("must be an array of strings", *path)
    if len(set(value)) < len(value):
        raise place.refuse("names a member twice", *path)
    return value


def build_required(place: Place) -> Built:
    """`required`: one failure for each name that is missing."""
    names, pointer = tuple(_names(place, place.value)), place.pointer

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        for name in names:
            if name not in value:
                out.fail(at, "required", pointer, "must have the member {}", text_of(name))

    yield OBJECT, check


def build_dependent_required(place: Place) -> Built:
    """`dependentRequired`: a member that needs others."""
    if not isinstance(place.value, dict):
        raise place.refuse(f"must be an object, is {kind_of(place.value)}")
    needs = {trigger: _names(place, names, trigger) for trigger, names in place.value.items()}

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        for trigger, names in needs.items():
            if trigger in value:
                for name in names:
                    if name not in value:
                        out.fail(at, "dependentRequired", place.pointer, "must have the member {}, as it has {}", text_of(name), text_of(trigger))

    yield OBJECT, check


ASSERTIONS: dict[str, Builder] = {                                     # in the order in which failures are listed
    "type": build_type, "const": build_const, "enum": build_enum,
    "multipleOf": build_multiple_of, "minimum": build_minimum, "maximum": build_maximum, "exclusiveMinimum": build_exclusive_minimum,
    "exclusiveMaximum": build_exclusive_maximum, "pattern": build_pattern, **dict.fromkeys(SIZED, build_size), "uniqueItems": build_unique_items,
    "required": build_required, "dependentRequired": build_dependent_required,
}

ANNOTATIONS: dict[str, tuple[type, str]] = {                           # keywords that say something and check nothing, and what they must be
    "title": (str, "a string"), "description": (str, "a string"), "$comment": (str, "a string"), "format": (str, "a string"),
    "contentEncoding": (str, "a string"), "contentMediaType": (str, "a string"), "deprecated": (bool, "true or false"),
    "readOnly": (bool, "true or false"), "writeOnly": (bool, "true or false"), "examples": (list, "an array"),
    "$vocabulary": (dict, "an object"),
}
