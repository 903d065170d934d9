"""JSON from the wire is strict and says where; JSON to the wire is compact and never fails on a string."""

from __future__ import annotations

import json

from router.http import wirejson
from router.http.wirejson import JSON_DEPTH_MAX
from state.errors import InvalidJson
from tests.kit import refuses, same


def refused(text: str | bytes, line: int, column: int, *words: str) -> None:
    body = text if isinstance(text, bytes) else text.encode()
    fault = refuses(InvalidJson, lambda: wirejson.decode(body), *words)
    same((fault.members["line"], fault.members["column"]), (line, column))


def test_what_every_parser_reads_alike_is_read() -> None:
    for value in ({}, [], "", 0, -1.5e300, None, True, {"a": [{"b": "ü\n\U0001F600"}, 1.0]}, 10**300, "x" * 100_000):
        same(wirejson.decode(json.dumps(value).encode()), value)
        same(wirejson.decode(json.dumps(value, ensure_ascii=False, indent=1).encode()), value)
        same(wirejson.decode(wirejson.encode(value)), value)


def test_a_syntax_error_says_line_and_column() -> None:
    refused('{"a": 1,\n "b" 2}', 2, 6, "delimiter")
    refused("", 1, 1, "empty")
    refused(" \n ", 2, 2, "empty")
    refused("[1] 2", 1, 5, "Extra data")
    refused('"a\tb"', 1, 3)
    refused(b"\xef\xbb\xbf{}", 1, 1, "byte order mark")


def test_text_that_is_not_utf_8_says_where() -> None:
    refused(b'{"\xc3\xbc": "\xff"}', 1, 8, "UTF-8")
    refused(b'"\xed\xa0\x80"', 1, 2, "UTF-8")
    refused('{"a": 1}'.encode("utf-16"), 1, 1, "UTF-8")


def test_numbers_that_are_none_are_refused() -> None:
    refused('{"a": "NaN", "b": NaN}', 1, 19, "NaN")
    refused("[-Infinity]", 1, 2, "Infinity")
    refused('{"a": "1e999",\n"b": 1e999}', 2, 6, "too large")
    refused("[1, " + "9" * 5_000 + "]", 1, 5, "digits")


def test_a_name_twice_is_refused_where_it_stands_again() -> None:
    refused('{"a": {"a": 1, "b": ["a", {"a": 2}]}, "b": "a", "a": 3}', 1, 49, "'a'", "twice")
    refused('[{"x": 1}, {"\\u0078": 1, "x": 2}]', 1, 26, "'x'")


def test_half_a_surrogate_pair_is_refused_and_a_whole_one_is_not() -> None:
    same(wirejson.decode(b'["\\ud83d\\uDE00", "\\\\ud800", "\\u00e4"]'), ["\U0001F600", "\\ud800", "ä"])
    for text, column in (('"\\ud800"', 2), ('"\\udc00"', 2), ('"\\ud83d\\u0041"', 2), ('"\\u0041\\uDFFF"', 8), ('"\\\\\\ud800"', 4),
                         ('"\\ud83d\\ud83d\\ude00"', 2), ('"\\ud83d\\ude00\\ude00"', 14), ('"\\ud800\\\\udc00"', 2)):
        refused(text, 1, column, "surrogate")


def test_nesting_is_bounded_and_brackets_in_strings_are_no_nesting() -> None:
    deep = JSON_DEPTH_MAX
    wirejson.decode(b"[" * deep + b"]" * deep)
    wirejson.decode(b'{"a":' * deep + b"1" + b"}" * deep)
    same(len(wirejson.decode(b'["' + b"[{" * 500 + b'", "\\"[[[", []]')), 3)
    same(len(wirejson.decode(b"[" + b"[{}]," * 5_000 + b"1]")), 5_001)
    refused("[" * (deep + 1) + "]" * (deep + 1), 1, deep + 1, "nested")
    refused("[" * 100_000, 1, deep + 1, "nested")
    refused('[\n"[[", ' + '{"a":' * 1_000 + "1" + "}" * 1_000 + "]", 2, 7 + 5 * (deep - 1), "nested")


def test_the_place_of_a_refusal_in_a_very_long_text_is_given_as_a_lower_bound() -> None:
    fault = refuses(InvalidJson, lambda: wirejson.decode(b"[" + b"1," * 500_000 + b"NaN]"), "after line 1")
    assert 1 < fault.members["column"] < 1_000_000


def test_what_is_printed_is_compact_utf_8_and_never_fails_on_a_string() -> None:
    same(wirejson.encode({"a": [1, "ü", None]}), '{"a":[1,"ü",null]}'.encode())
    same(wirejson.encode(["\ud800", "\ud83d\ude00"]), '["\ufffd","\U0001F600"]'.encode())
    refuses(ValueError, lambda: wirejson.encode(float("nan")))
