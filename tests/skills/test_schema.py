"""JSON Schema 2020-12 as the skills use it: what fits, what does not and how that is said, which schemas are refused."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from skills.schema import FAILURES_MAX, SchemaError, compile_schema, is_artifact_reference
from skills.schema_patterns import PatternError, compile_pattern
from tests.kit import refuses, same

REF = {"$artifact": "sha256:" + "0" * 64}
HUGE = 10 ** 400

# keyword under test, schema, instances that fit, instances that do not
CASES: tuple[tuple[str, Any, list[Any], list[Any]], ...] = (
    ("true and false", True, [1, None, {}], []),
    ("true and false", False, [], [1, None, {}]),
    ("type", {"type": "integer"}, [1, 1.0, -3, HUGE], [1.5, True, "1", None, float("inf")]),
    ("type", {"type": "number"}, [1, 1.5], [False, "1"]),
    ("type", {"type": "boolean"}, [True, False], [0, 1, "true"]),
    ("type", {"type": ["null", "string"]}, [None, ""], [0, [], {}]),
    ("type", {"type": ["integer", "number"]}, [1.5, 1], ["1"]),
    ("type", {"type": "object"}, [{}], [[], None]),
    ("enum", {"enum": [1, "a", None, [1, True], {"x": [0]}]}, [1, 1.0, "a", None, [1.0, True], {"x": [0.0]}],
     [True, "1", False, [1, 1], [True, 1], {"x": [False]}, {"x": [0], "y": 0}]),
    ("enum", {"enum": [False]}, [False], [0, 0.0, None]),
    ("const", {"const": 1}, [1, 1.0], [True, [1], "1"]),
    ("const", {"const": True}, [True], [1, 1.0]),
    ("const", {"const": {"a": [True, None]}}, [{"a": [True, None]}], [{"a": [1, None]}, {"a": [True]}, {}]),
    ("const", {"const": 2 ** 53 + 1}, [2 ** 53 + 1], [float(2 ** 53)]),
    ("multipleOf", {"multipleOf": 2}, [4, 4.0, "3", HUGE], [3, 4.5, float("inf"), float("nan")]),
    ("multipleOf", {"multipleOf": 0.0001}, [0.0075, 1, 0], [0.00751]),
    ("multipleOf", {"multipleOf": 0.1}, [0.3, 1.1, 5], [0.35]),
    ("multipleOf", {"multipleOf": 0.123456789}, [0], [1e308, HUGE]),
    ("multipleOf", {"multipleOf": 1e-8}, [12391239123, HUGE, 1e308], [1e-9]),
    ("minimum", {"minimum": 1.5}, [1.5, 2, "0", True], [1.4, -HUGE]),
    ("maximum", {"maximum": 3}, [3, 3.0, None], [3.5, HUGE]),
    ("exclusive bounds", {"exclusiveMinimum": 1, "exclusiveMaximum": 2}, [1.5, []], [1, 2, 0]),
    ("length counts code points", {"minLength": 2, "maxLength": 2}, ["ab", "\U0001F600\U0001F600", 1], ["\U0001F600", "abc", ""]),
    ("length takes 2.0", {"minLength": 2.0}, ["ab"], ["a"]),
    ("pattern is searched", {"pattern": "b+"}, ["abc", 3], ["ac"]),
    ("pattern end is the end", {"pattern": "^a$"}, ["a"], ["a\n", "ab"]),
    ("items", {"items": {"type": "integer"}}, [[], [1, 2], "x", {"a": "b"}], [[1, "2"]]),
    ("items after prefixItems", {"prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, [["a"], ["a", 1, 2], []], [[1], ["a", "b"]]),
    ("closed tuple", {"prefixItems": [True], "items": False}, [[], [1]], [[1, 2]]),
    ("contains", {"contains": {"const": 1}}, [[1], [0, 1.0], {}], [[], [2], [True]]),
    ("contains", {"contains": {"const": 1}, "minContains": 2, "maxContains": 3}, [[1, 1], [1, 0, 1, 1]], [[1], [1, 1, 1, 1]]),
    ("contains", {"contains": {"const": 1}, "minContains": 0}, [[], [2]], []),
    ("contains bounds alone", {"minContains": 2, "maxContains": 1}, [[], [1, 2]], []),
    ("array sizes", {"minItems": 1, "maxItems": 2}, [[1], [1, 2], "abc"], [[], [1, 2, 3]]),
    ("uniqueItems", {"uniqueItems": True}, [[], [1, True], [0, False], [[1], [True]], [{"a": 1}, {"a": 2}], ["1", 1]],
     [[1, 1.0], [{"a": 1, "b": 2}, {"b": 2, "a": 1.0}], [[[0]], [[0.0]]], ["a", "a"]]),
    ("uniqueItems off", {"uniqueItems": False}, [[1, 1]], []),
    ("properties", {"properties": {"a": {"type": "integer"}, "b": False}}, [{}, {"a": 1}, {"c": "x"}, [], "a"], [{"a": "1"}, {"b": 1}]),
    ("patternProperties", {"patternProperties": {"^n": {"type": "integer"}, "x$": {"minimum": 2}}}, [{"n": 1}, {"nx": 2}, {"a": "s"}],
     [{"n": "s"}, {"nx": 1}]),
    ("additionalProperties", {"properties": {"a": True}, "patternProperties": {"^x": True}, "additionalProperties": {"type": "null"}},
     [{"a": 1, "x1": 2, "z": None}], [{"z": 1}]),
    ("additionalProperties sees its own object only", {"allOf": [{"properties": {"a": True}}], "additionalProperties": False}, [{}], [{"a": 1}]),
    ("propertyNames", {"propertyNames": {"maxLength": 2}}, [{"ab": 1}, {}, "abc"], [{"abc": 1}]),
    ("required", {"required": ["a", "b"]}, [{"a": 1, "b": None}, [], 3], [{"a": 1}, {}]),
    ("dependentRequired", {"dependentRequired": {"card": ["address"]}}, [{}, {"address": 1}, {"card": 1, "address": 2}], [{"card": 1}]),
    ("dependentSchemas", {"dependentSchemas": {"a": {"required": ["b"]}}}, [{}, {"a": 1, "b": 1}], [{"a": 1}]),
    ("object sizes", {"minProperties": 1, "maxProperties": 1}, [{"a": 1}, [], ""], [{}, {"a": 1, "b": 2}]),
    ("allOf", {"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2, "x"], [0, 3]),
    ("anyOf", {"anyOf": [{"type": "string"}, {"minimum": 3}]}, ["", 3, None], [2]),
    ("oneOf", {"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]}, [2, 3], [6, 5]),
    ("not", {"not": {"type": "string"}}, [1], ["a"]),
    ("if then else", {"if": {"type": "integer"}, "then": {"minimum": 1}, "else": {"minLength": 1}}, [1, "a", []], [0, ""]),
    ("then without if", {"then": False, "else": False}, [1], []),
    ("$ref has siblings", {"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n", "minimum": 2}, [2], [1, "a"]),
    ("$ref escapes", {"$defs": {"a/b~c d%": {"type": "integer"}}, "$ref": "#/$defs/a~1b~0c%20d%25"}, [1], ["a"]),
    ("$ref to an unknown place", {"components": {"n": {"type": "integer"}}, "items": {"$ref": "#/components/n"}}, [[1]], [["a"]]),
    ("$ref into a list", {"anyOf": [{"type": "string"}, {"items": {"$ref": "#/anyOf/0"}}]}, ["a", ["b"]], [[1]]),
    ("recursion", {"properties": {"next": {"$ref": "#"}, "v": {"type": "integer"}}, "required": ["v"]},
     [{"v": 1, "next": {"v": 2}}], [{"v": 1, "next": {"v": "x"}}, {"v": 1, "next": {}}]),
    ("$anchor", {"items": {"$ref": "#here"}, "$defs": {"x": {"$anchor": "here", "type": "null"}}}, [[None]], [[0]]),
    ("$id", {"$id": "https://example.org/root", "items": {"$ref": "part#inner"},
             "$defs": {"p": {"$id": "part", "$defs": {"i": {"$anchor": "inner", "type": "null"}}}}}, [[None]], [[0]]),
    ("a reference stays within its $id", {"$id": "https://example.org/a", "$defs": {"n": {"type": "null"}, "p": {
        "$id": "b", "$defs": {"n": {"type": "integer"}}, "items": {"$ref": "#/$defs/n"}}}, "$ref": "b"}, [[1]], [[None]]),
    ("values of const and enum are no schemas", {"enum": [{"$ref": "nowhere"}, {"$id": 3}]}, [{"$ref": "nowhere"}], [{"$ref": "else"}]),
    ("format is an annotation", {"format": "email"}, ["no mail"], []),
    ("unknown keywords are annotations", {"x-note": {"type": "nonsense"}, "dependencies": 4}, [1], []),
    ("unevaluatedProperties", {"allOf": [{"properties": {"a": True}}], "properties": {"b": True}, "unevaluatedProperties": False},
     [{"a": 1, "b": 2}], [{"c": 1}]),
    ("unevaluatedProperties counts fitting alternatives", {
        "anyOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"properties": {"b": True}, "required": ["b"]}],
        "unevaluatedProperties": False}, [{"a": 1}, {"b": 1}, {"a": 1, "b": 1}], [{"a": "x", "b": 1}, {"a": 1, "c": 1}]),
    ("unevaluatedProperties after not", {"not": {"not": {"properties": {"a": True}}}, "unevaluatedProperties": False}, [{}], [{"a": 1}]),
    ("unevaluatedProperties after if", {"if": {"properties": {"k": {"const": 1}}, "required": ["k"]}, "then": {"properties": {"a": True}},
                                        "else": {"properties": {"b": True}}, "unevaluatedProperties": False},
     [{"k": 1, "a": 2}, {"b": 1}], [{"k": 1, "b": 1}, {"k": 2, "b": 1}]),
    ("unevaluatedProperties through $ref", {"$ref": "#/$defs/base", "unevaluatedProperties": {"type": "null"},
                                            "$defs": {"base": {"properties": {"a": True}}}}, [{"a": 1, "z": None}], [{"z": 1}]),
    ("unevaluatedProperties of an inner schema", {"allOf": [{"unevaluatedProperties": True}], "unevaluatedProperties": False}, [{"a": 1}], []),
    ("unevaluatedItems", {"prefixItems": [True], "anyOf": [{"prefixItems": [True, {"const": 1}]}, True], "unevaluatedItems": False},
     [[0], [0, 1]], [[0, 2], [0, 1, 2]]),
    ("unevaluatedItems after contains", {"contains": {"type": "integer"}, "unevaluatedItems": {"type": "string"}}, [[1, "a", 2]], [[1, None]]),
    ("unevaluatedItems after items", {"allOf": [{"items": True}], "unevaluatedItems": False}, [[1, 2]], []),
)

# what a schema author got wrong, where that is said, a word of the reason
REFUSED: tuple[tuple[Any, str, str], ...] = (
    (5, "", "must be a schema"),
    ({"type": "text"}, "/type", '"text" is not a type'),
    ({"type": []}, "/type", "at least one"),
    ({"type": ["null", "null"]}, "/type", "once"),
    ({"enum": "a"}, "/enum", "array"),
    ({"const": date(2026, 1, 1)}, "/const", "date is not a JSON type"),
    ({"minimum": "1"}, "/minimum", "must be a number"),
    ({"maximum": True}, "/maximum", "must be a number"),
    ({"multipleOf": 0}, "/multipleOf", "more than 0"),
    ({"properties": {"a/b": {"minLength": -1}}}, "/properties/a~1b/minLength", "at least 0"),
    ({"maxItems": 1.5}, "/maxItems", "integer"),
    ({"minContains": "1"}, "/minContains", "integer"),
    ({"uniqueItems": "yes"}, "/uniqueItems", "true or false"),
    ({"required": "a"}, "/required", "array of strings"),
    ({"required": ["a", "a"]}, "/required", "twice"),
    ({"dependentRequired": {"a": "b"}}, "/dependentRequired/a", "array of strings"),
    ({"pattern": "("}, "/pattern", "not a regular expression"),
    ({"pattern": 3}, "/pattern", "must be a string"),
    ({"patternProperties": {"[": True}}, "/patternProperties/[", "not closed"),
    ({"properties": []}, "/properties", "must be an object"),
    ({"properties": {"a": "string"}}, "/properties/a", "must be a schema"),
    ({"allOf": []}, "/allOf", "at least one"),
    ({"anyOf": {"type": "string"}}, "/anyOf", "array"),
    ({"items": [{}, {}]}, "/items", "prefixItems"),
    ({"not": None}, "/not", "must be a schema"),
    ({"title": 3}, "/title", "a string"),
    ({"format": ["email"]}, "/format", "a string"),
    ({"examples": {}}, "/examples", "an array"),
    ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema", "not supported"),
    ({"$id": "a#b"}, "/$id", "fragment"),
    ({"$defs": {"a": {"$id": "x"}, "b": {"$id": "x"}}}, "/$defs/b/$id", "two schemas"),
    ({"$anchor": "1a"}, "/$anchor", "letter"),
    ({"$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}}, "/$defs/b/$anchor", "twice"),
    ({"$ref": 3}, "/$ref", "must be a string"),
    ({"$ref": "#/$defs/x"}, "/$ref", "not there"),
    ({"$ref": "#x"}, "/$ref", "anchor"),
    ({"items": {"$ref": "https://example.org/other"}}, "/items/$ref", "nothing is fetched"),
    ({"$ref": "file:///etc/passwd"}, "/$ref", "nothing is fetched"),
    ({"$defs": {"unused": {"type": "text"}}}, "/$defs/unused/type", "not a type"),
    ({"$ref": "#"}, "", "without end"),
    ({"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"anyOf": [True, {"not": {"$ref": "#/$defs/x"}}]}}}, "/$defs/x", "without end"),
    ({"$dynamicRef": "#n", "$dynamicAnchor": "n"}, "", "without end"),
)


def said(schema: Any, instance: Any) -> list[tuple[str, str, str]]:
    """(pointer, keyword, message) of each failure."""
    return [(failure.pointer, failure.keyword, failure.message) for failure in compile_schema(schema).errors(instance)]


def nested(depth: int, name: str) -> Any:
    """An object in an object, `depth` times."""
    value: Any = {}
    for _ in range(depth):
        value = {name: value}
    return value


def test_each_keyword_takes_what_fits_and_nothing_else() -> None:
    for keyword, schema, fitting, failing in CASES:
        compiled = compile_schema(schema)
        for instance, fits in [(value, True) for value in fitting] + [(value, False) for value in failing]:
            assert compiled.is_valid(instance) is fits, (keyword, schema, instance, fits)
            assert (not compiled.errors(instance)) is fits, (keyword, schema, instance, fits)


def test_a_schema_that_is_none_is_refused_with_its_place_and_the_reason() -> None:
    for schema, pointer, word in REFUSED:
        same((refuses(SchemaError, lambda s=schema: compile_schema(s), word).pointer, schema), (pointer, schema))


def test_a_schema_written_for_its_own_dialect_is_taken() -> None:
    assert compile_schema({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "null"}).is_valid(None)


def test_every_failure_is_listed_with_its_pointer_and_in_the_same_order() -> None:
    schema = {"type": "object", "required": ["id", "name"], "properties": {"name": {"type": "string", "minLength": 3}, "tags": {
        "items": {"type": "string"}}, "a/b": {"maximum": 3}}, "additionalProperties": False}
    same(said(schema, {"x": 1, "a/b": 4, "tags": ["a", 2, None], "name": "u"}), [
        ("", "required", 'must have the member "id"'),
        ("/name", "minLength", "must be at least 3 characters, has 1"),
        ("/tags/1", "type", "must be a string, is the number 2"),
        ("/tags/2", "type", "must be a string, is null"),
        ("/a~1b", "maximum", "must be at most 3, is 4"),
        ("/x", "additionalProperties", 'is not a known member; known are "a/b", "name", "tags"'),
    ])


def test_messages_are_plain_words_with_the_numbers() -> None:
    for schema, instance, message in (
        ({"type": ["integer", "null"]}, 1.5, "must be an integer or null, is the number 1.5"),
        ({"enum": ["a", 1]}, "b", 'must be one of "a", 1, is "b"'),
        ({"const": {"a": True}}, {"a": 1}, 'must be {"a": true}, is {"a": 1}'),
        ({"multipleOf": 0.5}, 0.7, "must be a multiple of 0.5, is 0.7"),
        ({"minItems": 1}, [], "must have at least 1 item, has 0"),
        ({"maxProperties": 1}, {"a": 1, "b": 2}, "must have at most 1 member, has 2"),
        ({"uniqueItems": True}, ["x", "y", "x"], "items must be different, 0 and 2 are equal"),
        ({"contains": {"type": "null"}, "minContains": 2}, [None, 1], "must have at least 2 items that fit, has 1"),
        ({"anyOf": [{"type": "string"}, {"required": ["a"]}]}, {}, 'fits none of the 2 alternatives (0: must be a string, is an object; '
                                                                   '1: must have the member "a")'),
        ({"oneOf": [{"minimum": 1}, {"minimum": 2}, {"maximum": 0}]}, 3, "must fit exactly one of the 3 alternatives, fits 0 and 1"),
        ({"pattern": "^a"}, "b" * 200, 'must match the pattern ^a, is "' + "b" * 56 + "..."),
        ({"prefixItems": [True], "items": False}, [1, 2], "must have at most 1 items, has 2"),
    ):
        same([message], [failure[2] for failure in said(schema, instance)])


def test_a_failure_names_its_place_in_the_schema() -> None:
    failures = compile_schema({"items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"minimum": 1}}}).errors([0])
    same([(f.pointer, f.schema_pointer) for f in failures], [("/0", "/$defs/n/minimum")])


def test_the_list_of_failures_is_capped() -> None:
    same(len(compile_schema({"items": {"type": "null"}}).errors([1] * 1_000)), FAILURES_MAX)


def test_an_artifact_reference_stands_for_anything_but_what_is_forbidden() -> None:
    for schema in ({"type": "string", "maxLength": 3}, {"const": 1}, {"required": ["a"], "additionalProperties": False}, {"not": True},
                   {"type": "object", "unevaluatedProperties": False}):
        assert compile_schema(schema).is_valid(REF), schema
    closed = compile_schema({"properties": {"text": {"type": "string"}, "rows": {"items": {"type": "integer"}}}, "additionalProperties": False})
    assert closed.is_valid({"text": REF, "rows": [1, REF]})
    same([f.pointer for f in closed.errors({"other": REF})], ["/other"])
    assert not compile_schema(False).is_valid(REF)
    assert not compile_schema({"properties": {"a": False}}).is_valid({"a": REF})
    same([is_artifact_reference(value) for value in (REF, {"$artifact": "sha256:ab"}, {"$artifact": "md5:1"}, {"$artifact": 1}, {}, "sha256:", None)],
         [True, False, False, False, False, False, False])


def test_a_dynamic_reference_finds_the_outermost_anchor() -> None:
    tree = {"$id": "https://example.org/tree", "$dynamicAnchor": "node", "type": "object",
            "properties": {"data": True, "children": {"type": "array", "items": {"$dynamicRef": "#node"}}}}
    strict = {"$id": "https://example.org/strict", "$dynamicAnchor": "node", "$ref": "tree", "unevaluatedProperties": False, "$defs": {"t": tree}}
    misspelled = {"children": [{"daat": 1}]}
    assert compile_schema(tree).is_valid(misspelled)
    same([f.pointer for f in compile_schema(strict).errors(misspelled)], ["/children/0/daat"])
    plain = compile_schema({"$dynamicRef": "#/$defs/a", "$defs": {"a": {"type": "null"}}})
    assert plain.is_valid(None) and not plain.is_valid(1)


def test_deep_values_and_deep_schemas_are_refused_and_crash_nothing() -> None:
    tree = compile_schema({"additionalProperties": {"$ref": "#"}})
    assert tree.is_valid(nested(100, "a"))
    same([f.message for f in tree.errors(nested(20_000, "a"))], ["is nested too deeply to be checked"])
    assert not tree.is_valid(nested(20_000, "a"))
    refuses(SchemaError, lambda: compile_schema(nested(20_000, "not")), "nested too deeply")


def test_what_is_not_json_is_a_mistake_of_the_caller() -> None:
    refuses(TypeError, lambda: compile_schema({"minimum": 1}).errors((1, 2)), "tuple")


def test_a_schema_survives_a_trip_through_json() -> None:
    for keyword, schema, fitting, _ in CASES:
        again = compile_schema(json.loads(json.dumps(schema)))
        assert all(again.is_valid(value) for value in fitting), keyword


def test_patterns_mean_what_ecma_262_says() -> None:
    for pattern, found, missed in (
        (r"^\d+$", ["12"], ["١٢", "12\n", ""]),
        (r"^\w$", ["_", "a"], ["é"]),
        (r"^\W\D\S$", ["éab"], ["aab", "é1b", "éa\ufeff"]),
        (r"^\s$", ["\ufeff", "\u00a0", "\t"], ["\u200b", "\x1c"]),
        (r"^.$", ["a", "\x85"], ["\n", "\u2028", "\r"]),
        (r"^[^]$", ["a", "\n"], [""]),
        (r"[]", [], ["", "a"]),
        (r"^[\w-.]+$", ["a-b.c"], ["a,b"]),
        (r"^[a&&b~~[]+$", ["a&b~["], ["c"]),
        (r"^[\]\\\-^]+$", ["]\\-^"], ["["]),
        (r"^[\b]$", ["\x08"], ["b"]),
        (r"\bé", ["aé"], ["é", " é"]),
        (r"^\u{1F600}\uD83D\uDE00\u0041\x42\cA\0$", ["\U0001F600\U0001F600AB\x01\x00"], [""]),
        (r"^\p{L}+$", ["äж文"], ["a1"]),
        (r"^\P{Lu}[\p{Nd}_]$", ["a٣", "1_"], ["A1"]),
        (r"^\p{gc=Letter}\p{ASCII}$", ["éa"], ["aé"]),
        (r"^(?<y>\d)-\k<y>\1$", ["1-11"], ["1-21"]),
        (r"^a{2}b{1,}c{0,1}$", ["aab", "aabbc"], ["ab"]),
        (r"^a{,2}$", ["a{,2}"], ["aa", ""]),
        (r"^(?:a|b)(?=c)(?!d)c(?<=c)(?<!d)$", ["ac"], ["dc"]),
        (r"^\/\.\-\#\@$", ["/.-#@"], [""]),
        ("^a#b c$", ["a#b c"], ["a"]),
    ):
        compiled = compile_pattern(pattern)
        same((pattern, [text for text in found if not compiled.search(text)]), (pattern, []))
        same((pattern, [text for text in missed if compiled.search(text)]), (pattern, []))


def test_patterns_that_cannot_be_said_in_python_are_refused() -> None:
    for pattern, word in ((r"\Aa\Z", "escape"), ("a++", "quantifier"), ("(?i)a", "(?"), ("(?P<a>b)", "(?"), (r"\p{Script=Greek}", "Script"),
                          (r"\p{Emoji}", "Emoji"), ("[b-a]", "backwards"), ("[a", "not closed"), ("a\\", "backslash"), ("(?<=a+)b", "look-behind"),
                          (r"\2(a)", "group"), ("a" * 20_000, "characters"), (r"\u{110000}", "escape"), ("a{99999999999}", "too large")):
        refuses(PatternError, lambda p=pattern: compile_pattern(p), word)
