"""Promises of the front matter reader."""

from __future__ import annotations

import math
from typing import Any

from skills.yaml import NESTING_LEVELS_MAX, YamlError, load, load_mapping
from tests.kit import refuses, same


def reads(*cases: tuple[str, Any]) -> None:
    """Each text has this value, types included."""
    for text, wanted in cases:
        got = load(text)
        assert repr(got) == repr(wanted), f"\n  text {text!r}\n   got {got!r}\nwanted {wanted!r}"


def refused(*cases: tuple[str, int, str]) -> None:
    """Each text is refused in this line, for a reason with these words."""
    for text, line, words in cases:
        error = refuses(YamlError, lambda text=text: load(text), words)  # type: ignore[misc]
        assert error.line == line, f"\n  text {text!r}\n   got {error}\nwanted line {line}"


def test_scalars_mean_what_the_core_schema_says() -> None:
    reads(
        ("null", None),
        ("~", None),
        ("Null", None),
        ("nULL", "nULL"),
        ("true", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("2024-01-31", "2024-01-31"),
        ("12:30:45", "12:30:45"),
        ("0", 0),
        ("007", 7),
        ("+12", 12),
        ("-0", 0),
        ("0o17", 15),
        ("0o18", "0o18"),
        ("0x1F", 31),
        ("0xfg", "0xfg"),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("-0x1", "-0x1"),
        ("1.0", 1.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5e1", -5.0),
        ("1e3", 1000.0),
        ("1e", "1e"),
        (".", "."),
        ("-", [None]),
        ("1.2.3", "1.2.3"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        (".NaN", math.nan),
        ("+.nan", "+.nan"),
        ("''", ""),
        ("'1'", "1"),
        ('"null"', "null"),
        ("=", "="),
    )


def test_a_number_of_absurd_length_is_refused() -> None:
    refused(("a: 1\nb: " + "9" * 5000, 2, "5000 digits"), ("[1, " + "9" * 500 + "]", 1, "digits"))
    same(load("9" * 5000, scalars_as_text=True), "9" * 5000)


def test_every_scalar_can_be_had_as_it_is_written() -> None:
    same(
        load("v: 1.10\nw: 007\nx: yes\ny: null\nz:\nl: [0x1F, ~, ]", scalars_as_text=True),
        {"v": "1.10", "w": "007", "x": "yes", "y": "null", "z": "", "l": ["0x1F", "~"]},
    )
    same(load("", scalars_as_text=True), "")


def test_keys_are_text_as_written() -> None:
    reads(
        ("1: a\n01: b\ntrue: c\n~: d\n1.0: e", {"1": "a", "01": "b", "true": "c", "~": "d", "1.0": "e"}),
        (
            "'it''s' : a\n\"tab\\t\": b\na b  : c\n-x: d\n?y: e\n:z: f\n#g\nh#i: j",
            {"it's": "a", "tab\t": "b", "a b": "c", "-x": "d", "?y": "e", ":z": "f", "h#i": "j"},
        ),
    )


def test_the_line_of_each_top_level_key_is_known() -> None:
    text = "# top\na: 1\n\nb:\n  a: 2\n'c': |\n  a: 3\n\n\nd: {a: 4,\n  e: 5}\n"
    same(load_mapping(text), ({"a": 1, "b": {"a": 2}, "c": "a: 3\n", "d": {"a": 4, "e": 5}}, {"a": 2, "b": 4, "c": 6, "d": 10}))
    same(load_mapping(text, 2)[1], {"a": 3, "b": 5, "c": 7, "d": 11})
    same(load_mapping("{a: 1,\n b: 2}")[1], {"a": 1, "b": 2})
    same(load_mapping(" \n# nothing\n"), ({}, {}))
    refuses(YamlError, lambda: load_mapping("- a"), "line 1", "list")
    refuses(YamlError, lambda: load_mapping("just words", 7), "line 7", "single value")


def test_lists_and_maps_nest_in_each_other() -> None:
    reads(
        ("a:\n- b\n-  c: d\n   e: f\n- - g\n  - h\n-\n  i:\n  - j\nk: l", {"a": ["b", {"c": "d", "e": "f"}, ["g", "h"], {"i": ["j"]}], "k": "l"}),
        ("-\n-\n - a\n- b:\n  c:\n  -\n", [None, ["a"], {"b": None, "c": [None]}]),
        ("a:\n    b: 1\n    c:\n     d: 2\ne: 3", {"a": {"b": 1, "c": {"d": 2}}, "e": 3}),
        ("- a: |\n   x\n  b: 1\n- 'q': 2", [{"a": "x\n", "b": 1}, {"q": 2}]),
        ("a: # note\n  # more\n  b", {"a": "b"}),
        ("a:\n  [b]\nc:\n  |\n  d\n", {"a": ["b"], "c": "d\n"}),
    )


def test_plain_scalars_go_on_over_rows_that_are_indented_deeper() -> None:
    reads(
        ("a: b\n  c\n   d\n\n  e\n\n\n  f\ng: h", {"a": "b c d\ne\n\nf", "g": "h"}),
        ("a\nb", "a b"),
        ("a:\n   b\n  c", {"a": "b c"}),
        ("- a\n  b\n- c", ["a b", "c"]),
        ("a: b # c", {"a": "b"}),
        ("a: b#c :d", {"a": "b#c :d"}),
        ("a: b\n# c\nd: e", {"a": "b", "d": "e"}),
        ("a: http://x/y?z#q", {"a": "http://x/y?z#q"}),
        ("a: x, [y] {z} & w * !", {"a": "x, [y] {z} & w * !"}),
        ("a: -1 - 2 -", {"a": "-1 - 2 -"}),
        ("a: b\n  - c\n  - d", {"a": "b - c - d"}),
        ("a:\tb \t# c\n", {"a": "b"}),
        ("a: b\u00a0\u2028c\u0085d", {"a": "b\u00a0\u2028c\u0085d"}),
    )


def test_quoted_scalars_fold_their_rows_and_know_the_escapes() -> None:
    reads(
        (r'"\0\a\b\t\n\v\f\r\e\ \"\/\\\N\_\L\P"', '\0\a\b\t\n\v\f\r\x1b "/\\\x85\xa0\u2028\u2029'),
        (r'"\x41\u00e9\U0001F600"', "Aé😀"),
        (r'"\ud83d\ude00"', "😀"),
        ("'it''s \\n'", "it's \\n"),
        ("'a\n\n\n b  \n  c '", "a\n\nb c "),
        ('"a  \n  b\\n\n c"', "a b\n c"),
        ('"a\\\n   b\\  \n  c"', "ab  c"),
        ('"a\\ \\\\  \n b"', "a \\ b"),
        ('"\n a"', " a"),
        ('"a\n "', "a "),
        ('a: "b: [c] # d"  # e', {"a": "b: [c] # d"}),
        ("'' : ''", {"": ""}),
    )


def test_block_texts_keep_or_fold_rows_and_chomp_the_end() -> None:
    reads(
        ("|\n a\n  b\n\n c\n", "a\n b\n\nc\n"),
        (">\n a\n b\n\n c\n", "a b\nc\n"),
        (">\n\n a\n   b\n   c\n\n d\n e\n", "\na\n  b\n  c\n\nd e\n"),
        (">\n a\n \tb\n c", "a\n\tb\nc\n"),
        ("a: |-\n  b\n\n\nc: d", {"a": "b", "c": "d"}),
        ("a: |+\n  b\n\n\nc: d", {"a": "b\n\n\n", "c": "d"}),
        ("a: |\n  b\n\n\nc: d", {"a": "b\n", "c": "d"}),
        ("a: |2-\n   b\n  c", {"a": " b\nc"}),
        ("a: >+1 # n\n  b\n c\n\n", {"a": " b\nc\n\n"}),
        ("- |1\n   a\n  b", ["  a\n b\n"]),
        ("a: |\nb: >-\n\nc: |+\n\n", {"a": "", "b": "", "c": "\n"}),
        ("a: |\n  # b\n # c\nd: e", {"a": "# b\n", "d": "e"}),
        ("a: |\n  b  \n    \n  c", {"a": "b  \n  \nc\n"}),
        ("a: |\n  ---\n  x: y", {"a": "---\nx: y\n"}),
        ("|\nx", "x\n"),
    )


def test_flow_lists_and_maps_nest_go_on_over_rows_and_take_comments() -> None:
    reads(
        ("[a, 'b', \"c\", 1, [], {}]", ["a", "b", "c", 1, [], {}]),
        ("{a: b, \"c\":d, 'e' : f, g: , h: [i, {j: k}], }", {"a": "b", "c": "d", "e": "f", "g": None, "h": ["i", {"j": "k"}]}),
        ("a: [b, # c\n  # d\n  e f\n  g,\n\n  h]", {"a": ["b", "e f g", "h"]}),
        ("[a:b, c:e, d]", ["a:b", "c:e", "d"]),
        ("{a: http://b/c?d=e#f}", {"a": "http://b/c?d=e#f"}),
        ("{a:[b]}", {"a": ["b"]}),
        ("a: [\n  b\n]\nc: {\n  d: e\n}", {"a": ["b"], "c": {"d": "e"}}),
        ("- [a,\n   b]\n- {c: 'd\n\n  e'}", [["a", "b"], {"c": "d\ne"}]),
        ("[-a, -1, b-]", ["-a", -1, "b-"]),
    )


def test_comments_empty_rows_and_any_line_end_are_no_matter() -> None:
    wanted = {"a": ["b"], "c": "d\ne\n"}
    text = "\n# x\na: # y\n \t \n  - b # z\n\t# w\nc: |\n  d\n  e\n# end"
    for ends in ("\n", "\r\n", "\r"):
        same(load(text.replace("\n", ends)), wanted)
    same(load("\ufeffa: b"), {"a": "b"})
    reads(("", None), ("# only", None), ("a:", {"a": None}))


def test_what_is_beyond_the_subset_is_refused_with_its_line() -> None:
    refused(
        ("a: 1\nb: &x 2", 2, "anchor"),
        ("a: *x", 1, "alias"),
        ("a: !!str 2", 1, "tag"),
        ("? a\n: b", 1, "complex key"),
        ("- ? a", 1, "complex key"),
        ("a:\n  <<: b", 2, "merge key"),
        ("{<<: b}", 1, "merge key"),
        ("%YAML 1.2\na: b", 1, "%"),
        ("---\na: b", 1, "document marker"),
        ("a: b\n---\nc: d", 2, "document marker"),
        ("a: b\n...", 2, "document marker"),
        ("a: |\n b\n---\n", 3, "document marker"),
        ("a:\n\tb: c", 2, "tab"),
        ("a:\n  b\n \tc", 3, "tab"),
        ("a: 'b\n\tc'", 2, "tab"),
        ("a: [b,\n\tc]", 2, "tab"),
        ("a: |\n  b\n\t\n  c", 3, "tab"),
        ("a: 1\nb: 2\na: 3", 3, "second time"),
        ("{a: 1, 'a': 2}", 1, "second time"),
        ("a:\n - b: 1\n   b: 2", 3, "second time"),
        (": a", 1, "no key"),
        ("[a: b]", 1, "braces"),
        ("{a}", 1, "key: value"),
        ("{a, b: c}", 1, "key: value"),
        ("{[a]: b}", 1, "as a key"),
        ("[a]: b", 1, "after the closing bracket"),
        ("{a\n : b}", 1, "key: value"),
        ("[?a]", 1, "complex"),
        ("k" * 1025 + ": a", 1, "1025 characters"),
        ('a: "b\\\n\n  c"', 3, "readers differ"),
    )


def test_what_is_no_yaml_is_refused_with_its_line_and_never_guessed() -> None:
    refused(
        ("a: b: c", 1, "quote the value"),
        ("a: b\n  c: d", 2, "quote the value"),
        ("x: 1\na: b:", 2, "quote"),
        ("a: - b", 1, "row of its own"),
        ("a: b\n c\nd", 3, "expected `key: value`"),
        ("a: 1\n- b", 2, "expected `key: value`"),
        ("a:\n  b: 1\n c: 2", 3, "deeper"),
        ("a:\n    b: 1\n  c: 2", 3, "deeper"),
        ("- a\nb: c", 2, "does not belong"),
        ("a: 'b' c", 1, "after the closing quote"),
        ('a: "b"#c', 1, "after the closing quote"),
        ("a: [b] c", 1, "after the closing bracket"),
        ("a: [b]]", 1, "after the closing"),
        ("a: 'b\nc: d", 2, "line 1 is still open"),
        ('x: 1\na: "b\n\n', 2, "never closed"),
        ("a: [b,\n  c", 1, "never closed"),
        ("a: [b,\nc: d]", 2, "line 1 is still open"),
        ("[a, , b]", 1, "nothing before it"),
        ("[a b\n c: d]", 2, "braces"),
        ("['a' 'b']", 1, "comma or ]"),
        ("[a}", 1, "comma or ]"),
        ("{a: b]", 1, "comma or }"),
        ("a: > b", 1, "begins on the next row"),
        ("a: |0\n b", 1, "digit"),
        ("a: |-+\n b", 1, "digit"),
        ("a: |\n   \n  b", 3, "more spaces"),
        ("a: @b", 1, "@"),
        ("a: `b`", 1, "backtick"),
        ("a: %b", 1, "%"),
        ("a: ]", 1, "closes nothing"),
        ('"\\q"', 1, "escape \\q"),
        ('"\\x4"', 1, "escape"),
        ('"\\UFFFFFFFF"', 1, "last character"),
        ('a: b\nc: "\\ud83d"', 2, "surrogate"),
        ("a: \x00", 1, "U+0000"),
        ("a: b\n\x7f", 2, "U+007F"),
        ("a: \ud800", 1, "U+D800"),
        ("a: b # c\n  d", 2, "deeper"),
        ("a: b\n  # c\n  d", 3, "deeper"),
    )


def test_lines_are_counted_from_the_first_line_given() -> None:
    same(refuses(YamlError, lambda: load("a: 1\nb: &c", 10)).line, 11)
    same(
        str(refuses(YamlError, lambda: load("x: [a,\nb]", 5))).split(";")[0],
        "line 6: the bracket of line 5 is still open: close it, or indent this row",
    )


def test_nesting_is_bounded() -> None:
    deepest = NESTING_LEVELS_MAX
    for text in (
        "[" * deepest + "]" * deepest,
        "- " * deepest + "a",
        "".join(" " * n + "k:\n" for n in range(deepest)),
        "{a: " * deepest + "}" * deepest,
    ):
        load(text)
    for bomb in ("[" * 100_000, "- " * 100_000, "{a: " * 100_000, "".join(" " * n + "k:\n" for n in range(deepest + 1)), "[{a: " * 50_000):
        refuses(YamlError, lambda bomb=bomb: load(bomb), "nested deeper than 64")  # type: ignore[misc]


def test_long_texts_are_read_in_one_pass() -> None:
    many = 50_000
    same(len(load("a: [" + "b, " * many + "]")["a"]), many)
    same(len(load("".join(f"k{n}: v\n" for n in range(many)))), many)
    same(len(load('a: "' + "\\\\" * many + " " * many + '\n  b"')["a"]), many + 2)
    same(len(load("a: x\n" + "  y\n\n" * many)["a"]), 2 * many + 1)
    refuses(YamlError, lambda: load("a: '" + "''" * many), "never closed")
