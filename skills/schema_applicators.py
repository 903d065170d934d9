"""The keywords of JSON Schema 2020-12 that apply other schemas: to the value itself, to its members, to its items.

`beside` schemas judge the same value and share what they evaluated (`seen`), `below` schemas judge a member or an item. The table of
shapes says where schemas stand, which is what `schema` walks to find them all.
"""

from __future__ import annotations

from typing import Any

from skills.schema_keywords import Builder, Built, Place, searcher
from skills.schema_values import ANY, ARRAY, OBJECT, At, Check, Seen, Sink, first_failure, holds, is_integer, text_of

ALTERNATIVES_SHOWN_MAX = 4             # why an alternative does not fit is said for so many of them

SHAPES = {                             # how schemas stand below a keyword: one, a list, a map
    **dict.fromkeys(("not", "if", "then", "else", "items", "contains", "additionalProperties", "propertyNames", "unevaluatedItems",
                     "unevaluatedProperties", "contentSchema"), "one"),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), "list"),
    **dict.fromkeys(("$defs", "definitions", "properties", "patternProperties", "dependentSchemas"), "map"),
}


def build_reference(place: Place) -> Built:
    """`$ref` and `$dynamicRef`."""
    yield ANY, place.referred()


def build_all_of(place: Place) -> Built:
    """`allOf`."""
    for index in range(len(place.value)):
        yield ANY, place.beside(index)


class _Reasons:
    """Why each alternative does not fit, found only when somebody reads it."""

    def __init__(self, alternatives: list[Check], value: Any) -> None:
        self.alternatives = alternatives
        self.value = value

    def __str__(self) -> str:
        said = []
        for index, check in enumerate(self.alternatives[:ALTERNATIVES_SHOWN_MAX]):
            failure = first_failure(check, self.value)
            if failure:
                said.append(f"{index}: {failure.pointer} {failure.message}" if failure.pointer else f"{index}: {failure.message}")
        return "; ".join(said)


def build_any_of(place: Place) -> Built:
    """`anyOf`. All alternatives are tried when somebody asks what they evaluate, else the first that fits ends it."""
    alternatives = [place.beside(index) for index in range(len(place.value))]

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        fits = False
        for alternative in alternatives:
            mine: Seen = None if seen is None else set()
            if holds(alternative, value, mine):
                fits = True
                if seen is None or mine is None:
                    return
                seen |= mine
        if not fits:
            out.fail(at, "anyOf", place.pointer, "fits none of the {} alternatives ({})", len(alternatives), _Reasons(alternatives, value))

    yield ANY, check


def build_one_of(place: Place) -> Built:
    """`oneOf`."""
    alternatives = [place.beside(index) for index in range(len(place.value))]

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        fitting: list[int] = []
        for index, alternative in enumerate(alternatives):
            mine: Seen = None if seen is None else set()
            if holds(alternative, value, mine):
                fitting.append(index)
                if seen is not None and mine is not None:
                    seen |= mine
        if not fitting:
            out.fail(at, "oneOf", place.pointer, "fits none of the {} alternatives ({})", len(alternatives), _Reasons(alternatives, value))
        elif len(fitting) > 1:
            out.fail(at, "oneOf", place.pointer, "must fit exactly one of the {} alternatives, fits {}", len(alternatives),
                     " and ".join(map(str, fitting)))

    yield ANY, check


def build_not(place: Place) -> Built:
    """`not`. What it evaluates counts for nothing."""
    inner = place.beside()

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        if holds(inner, value):
            out.fail(at, "not", place.pointer, "fits the schema that it must not fit")

    yield ANY, check


def build_if(place: Place) -> Built:
    """`if` with `then` and `else`, which mean nothing without it."""
    condition = place.beside()
    then = place.sibling("then").beside() if "then" in place.schema else None
    otherwise = place.sibling("else").beside() if "else" in place.schema else None

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        mine: Seen = None if seen is None else set()
        branch = otherwise
        if holds(condition, value, mine):
            branch = then
            if seen is not None and mine is not None:
                seen |= mine
        if branch is not None:
            branch(value, at, out, seen)

    yield ANY, check


def build_dependent_schemas(place: Place) -> Built:
    """`dependentSchemas`: schemas for the whole object that count when a member is there."""
    rules = [(name, place.beside(name)) for name in place.value]

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        for name, rule in rules:
            if name in value:
                rule(value, at, out, seen)

    yield OBJECT, check


def build_prefix_items(place: Place) -> Built:
    """`prefixItems`: a schema for each of the first items."""
    rules = [place.below(index) for index in range(len(place.value))]

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        for index, (rule, item) in enumerate(zip(rules, value, strict=False)):
            rule(item, (at, index), out, None)
        if seen is not None:
            seen.update(range(min(len(rules), len(value))))

    yield ARRAY, check


def build_items(place: Place) -> Built:
    """`items`: one schema for all items after `prefixItems`."""
    rule, start = place.below(), len(place.schema.get("prefixItems", ()))

    def check_all(value: Any, at: At, out: Sink, seen: Seen) -> None:
        for index, item in enumerate(value):
            rule(item, (at, index), out, None)
        if seen is not None:
            seen.update(range(len(value)))

    def check_rest(value: Any, at: At, out: Sink, seen: Seen) -> None:
        if place.value is False and len(value) > start:
            out.fail(at, "items", place.pointer, "must have at most {} items, has {}", start, len(value))
            return
        for index in range(start, len(value)):
            rule(value[index], (at, index), out, None)
        if seen is not None:
            seen.update(range(start, len(value)))

    yield ARRAY, check_rest if start or place.value is False else check_all


def build_contains(place: Place) -> Built:
    """`contains` with `minContains` and `maxContains`."""
    rule = place.below()
    least, most = (place.schema.get(bound) for bound in ("minContains", "maxContains"))
    least = 1 if least is None else least

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        fitting = [index for index, item in enumerate(value) if holds(rule, item)]
        if seen is not None:
            seen.update(fitting)
        if len(fitting) < least:
            out.fail(at, "contains", place.pointer, "must have at least {} items that fit, has {}", least, len(fitting))
        elif most is not None and len(fitting) > most:
            out.fail(at, "contains", place.pointer, "must have at most {} items that fit, has {}", most, len(fitting))

    yield ARRAY, check


def build_contains_bound(place: Place) -> Built:
    """`minContains` and `maxContains`: judged by `contains`, only their value is looked at here."""
    if not is_integer(place.value) or place.value < 0:
        raise place.refuse("must be an integer of at least 0")
    yield from ()


def build_properties(place: Place) -> Built:
    """`properties`: a schema for each named member."""
    rules = [(name, place.below(name)) for name in place.value]
    names = frozenset(place.value)

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        for name, rule in rules:
            if name in value:
                rule(value[name], (at, name), out, None)
        if seen is not None:
            seen.update(names.intersection(value))

    yield OBJECT, check


def build_pattern_properties(place: Place) -> Built:
    """`patternProperties`: a schema for the members whose name matches."""
    rules = [(searcher(place, pattern, pattern).search, place.below(pattern)) for pattern in place.value]

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        for search, rule in rules:
            for name, member in value.items():
                if search(name):
                    rule(member, (at, name), out, None)
                    if seen is not None:
                        seen.add(name)

    yield OBJECT, check


def build_additional_properties(place: Place) -> Built:
    """`additionalProperties`: a schema for the members that `properties` and `patternProperties` do not name."""
    rule, closed = place.below(), place.value is False
    known = frozenset(place.schema.get("properties", ()))
    patterns = place.sibling("patternProperties")
    searches = [searcher(patterns, pattern, pattern).search for pattern in patterns.value or ()]
    listed = ", ".join(map(text_of, sorted(known)[:12])) + (", ..." if len(known) > 12 else "") or "none"

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        for name in value:
            if name in known or (searches and any(search(name) for search in searches)):
                continue
            if closed:
                out.fail((at, name), "additionalProperties", place.pointer, "is not a known member; known are {}", listed)
            else:
                rule(value[name], (at, name), out, None)
        if seen is not None:
            seen.update(value)

    yield OBJECT, check


def build_property_names(place: Place) -> Built:
    """`propertyNames`: a schema for the names themselves."""
    rule = place.below()

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        for name in value:
            rule(name, (at, name), out, None)

    yield OBJECT, check


def unevaluated(place: Place, kind: type) -> Check:
    """`unevaluatedProperties` (for dict) or `unevaluatedItems` (for list): what no other keyword of the object has evaluated.

    The check is given, as `seen`, what the others have evaluated; its caller runs it last."""
    rule, closed = place.below(), place.value is False
    message = "is not a member that any part of the schema knows" if kind is dict else "is an item that no part of the schema knows"

    def check(value: Any, at: At, out: Sink, seen: Seen) -> None:
        for step in value if kind is dict else range(len(value)):
            if seen is not None and step in seen:
                continue
            if closed:
                out.fail((at, step), place.keyword, place.pointer, message)
            else:
                rule(value[step], (at, step), out, None)

    return check


UNEVALUATED: dict[str, type] = {"unevaluatedProperties": dict, "unevaluatedItems": list}

APPLICATORS: dict[str, Builder] = {                                    # in the order in which failures are listed
    "prefixItems": build_prefix_items, "items": build_items, "contains": build_contains, "minContains": build_contains_bound,
    "maxContains": build_contains_bound, "properties": build_properties, "patternProperties": build_pattern_properties,
    "additionalProperties": build_additional_properties, "propertyNames": build_property_names, "dependentSchemas": build_dependent_schemas,
    "$ref": build_reference, "$dynamicRef": build_reference, "allOf": build_all_of, "anyOf": build_any_of, "oneOf": build_one_of,
    "not": build_not, "if": build_if,
}
