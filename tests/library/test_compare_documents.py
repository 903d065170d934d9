"""compare-documents keeps its promises: differences of text and of JSON that are right, readable, and found in time."""

from __future__ import annotations

import random
import re
from typing import Any

from tests.kit import refuses, same
from tests.library.bundles import Step, a_file, fits, is_refused, tool_of

TOOL = tool_of("compare-documents")
LINES = tool_of("compare-documents", "lines")


def compared(before: Any, after: Any, step: Step | None = None, **options: Any) -> dict[str, Any]:
    """The comparison, which must fit the output schema."""
    return fits("compare-documents", "output", TOOL.compare({"before": before, "after": after, **options}, step))


def changes(before: Any, after: Any, **options: Any) -> list[tuple[str, str]]:
    """(kind, pointer) of the differences of two JSON values."""
    return [(change["kind"], change["pointer"]) for change in compared(before, after, **options)["changes"]]


def patched(text: str, diff: str) -> str:
    """`text` with a unified diff applied, read strictly: every line that the diff claims must be there."""
    old, new, at = text.split("\n"), [], 0
    for line in diff.split("\n")[2:]:
        header = re.match(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@", line)
        if header:
            start = int(header[1]) - (header[2] != "0")
            new += old[at:start]
            at = start
        elif line[:1] in (" ", "-"):
            same(old[at], line[1:])
            at += 1
        if line[:1] in (" ", "+"):
            new.append(line[1:])
    return "\n".join(new + old[at:])


def a_program(lines: int, seed: int) -> list[str]:
    """Lines as source code has them: many that repeat, some that do not."""
    draw = random.Random(seed)
    return [draw.choice(["}", "", "    return x", "if a:"]) if draw.random() < 0.5 else f"line {n} {draw.random()}" for n in range(lines)]


def edited(lines: list[str], seed: int) -> list[str]:
    """The lines with some removed, changed and added."""
    draw = random.Random(seed)
    kept = [line + " edited" if draw.random() < 0.05 else line for line in lines if draw.random() > 0.05]
    for _ in range(len(lines) // 50):
        kept.insert(draw.randrange(len(kept)), draw.choice(["}", "", "new line"]))
    return kept


def test_lines_and_the_words_in_them_are_compared() -> None:
    found = compared("one\nthree quick foxes\nfour\n", "one\nthree slow foxes\nfour\nfive\n")
    same([found["counts"][k] for k in ("changed", "added", "removed", "places")], [1, 1, 0, 2])
    same(found["changes"][0]["words"], [["=", "three "], ["-", "quick"], ["+", "slow"], ["=", " foxes"]])
    same(found["changes"][1]["after"], {"line": 4, "count": 1, "lines": ["five"]})
    assert found["summary"].startswith("1 line changed, 1 line added, in 2 places;"), found["summary"]


def test_the_unified_diff_turns_the_first_document_into_the_second() -> None:
    for seed in range(30):
        old = a_program(60, seed)
        before, after = "\n".join(old) + "\n", "\n".join(edited(old, seed + 1)) + "\n"
        for context in (0, 1, 3):
            same(patched(before, compared(before, after, context=context)["diff"]), after)


def test_equal_documents_are_identical() -> None:
    for text in ("", "a", "a\nb\n"):
        found = compared(text, text)
        same((found["identical"], found["similarity"], found["diff"]), (True, 1.0, ""))


def test_documents_that_differ_in_line_ends_only_are_said_to() -> None:
    found = compared("a\r\nb\r\n", "a\nb\n")
    same((found["identical"], found["counts"]["places"]), (False, 0))
    assert "CRLF before, LF after" in found["summary"]
    assert "Only the document after ends with a line feed" in compared("a\nb", "a\nb\n")["summary"]


def test_white_space_and_case_can_be_left_out_of_account() -> None:
    same(compared("a  b\n", "a b \n", ignore_whitespace=True)["identical"], True)
    same(compared("Straße\n", "STRASSE\n", ignore_case=True)["identical"], True)


def test_a_block_that_only_moved_is_said_to() -> None:
    middle = "middle one\nmiddle two\nmiddle three\n"
    found = compared(f"intro\nterms a\nterms b\n{middle}", f"intro\n{middle}terms a\nterms b\n")
    same([(c["kind"], c.get("moved_to_line"), c.get("moved_from_line")) for c in found["changes"]], [("removed", 5, None), ("added", None, 2)])
    assert "1 block only moved" in found["summary"]


def test_chinese_is_compared_sign_by_sign() -> None:
    found = compared("我们在北京开会。", "我们在上海开会。")
    same(found["changes"][0]["words"], [["=", "我们在"], ["-", "北京"], ["+", "上海"], ["=", "开会。"]])


def test_matches_are_always_a_common_sequence() -> None:
    draw = random.Random(5)
    for _ in range(1_000):
        before, after = ([draw.randrange(4) for _ in range(draw.randrange(10))] for _ in range(2))
        at_before = at_after = 0
        for i, j, size in LINES.matches(before, after):
            assert i >= at_before and j >= at_after and size > 0 and before[i:i + size] == after[j:j + size], (before, after)
            at_before, at_after = i + size, j + size


def test_large_documents_of_every_awkward_kind_are_compared_in_time() -> None:
    draw = random.Random(2)
    program = a_program(20_000, 1)
    kinds = {"edited": (program, edited(program, 2)), "reversed": (program, program[::-1]),
             "same lines": (["x"] * 20_000, ["x"] * 9_000 + ["y"] + ["x"] * 10_000),
             "two letters": tuple([draw.choice("ab") for _ in range(20_000)] for _ in range(2)),
             "nothing in common": (["a"] * 20_000, ["b"] * 20_000)}
    for name, (before, after) in kinds.items():
        found = compared("\n".join(before) + "\n", "\n".join(after) + "\n")
        same((name, found["counts"]["lines_before"] + found["counts"]["added"] - found["counts"]["removed"]), (name, len(after)))


def test_a_long_diff_is_kept_whole_as_an_artifact() -> None:
    program, step = a_program(5_000, 1), Step()
    before, after = "\n".join(program) + "\n", "\n".join(edited(program, 2)) + "\n"
    found = compared(a_file(before), a_file(after), step)
    same((found["diff_truncated"], found["changes_truncated"], len(found["changes"])), (True, True, 100))
    same(patched(before, step.kept["changes.diff"].decode()), after)


def test_files_in_different_encodings_are_compared_by_their_letters() -> None:
    found = compared(a_file("Grüße\nb\n".encode("cp1252")), a_file("Grüße\nb\n".encode()))
    same(found["counts"]["places"], 0)
    assert "cp1252 before" in found["summary"]


def test_json_is_compared_by_its_structure() -> None:
    before = {"a": 1, "gone": True, "list": [1, 2], "deep": {"x/y": {"~": 1}}}
    after = {"deep": {"x/y": {"~": 2}}, "a": 1.0, "list": [1, 2, 3], "new": None}
    same(changes(before, after), [("removed", "/gone"), ("added", "/list/2"), ("changed", "/deep/x~1y/~0"), ("added", "/new")])


def test_types_are_kept_apart_and_numbers_are_not() -> None:
    same(changes({"a": True, "b": 1, "c": None}, {"a": 1, "b": 1.0, "c": 0}), [("type_changed", "/a"), ("type_changed", "/c")])


def test_list_items_are_recognised_by_their_identity() -> None:
    before = [{"id": 1, "p": 1}, {"id": 2, "p": 2}, {"id": 3, "p": 3}]
    after = [{"id": 3, "p": 3}, {"id": 1, "p": 1}, {"id": 2, "p": 9}, {"id": 4, "p": 4}]
    same(changes(before, after), [("changed", "/2/p"), ("moved", "/0"), ("added", "/3")])
    same(changes([{"sku": "a", "n": 1}, {"sku": "b", "n": 1}], [{"sku": "b", "n": 2}], identity=["sku"]), [("changed", "/0/n"), ("removed", "/0")])


def test_lists_without_identity_are_aligned_by_equal_items() -> None:
    same(changes([1, 2, 3, 4], [1, 3, 4, 5]), [("removed", "/1"), ("added", "/3")])
    same(changes([{"a": 1}, {"b": 1}], [{"a": 2}, {"b": 1}]), [("changed", "/0/a")])
    same(changes([[1], [2]], [[2], [1]]), [("moved", "/1")])


def test_json_as_text_is_recognised_and_text_that_is_not_json_is_text() -> None:
    same(compared('{"a": 1}', {"a": 2})["kind"], "json")
    same(compared('{"a": 1}\n{"a": 2}\n', '{"a": 1}\n{"a": 3}\n')["changes"][0]["pointer"], "/1/a")
    same(compared("{not json", "{nor this")["kind"], "text")
    same(compared('{"a": 1}', '{"a": 2}', kind="text")["kind"], "text")
    assert "stand twice" in compared('{"a": 1, "a": 2}', '{"a": 2}')["summary"]


def test_json_that_was_asked_for_and_is_not_there_is_refused_with_its_place() -> None:
    refuses(TOOL.BadInput, lambda: TOOL.compare({"before": '{"a": }', "after": "{}", "kind": "json"}), "line 1 column 7")
    refuses(TOOL.BadInput, lambda: TOOL.compare({"before": {"a": 1}, "after": "words"}), "other is text")
    refuses(TOOL.BadInput, lambda: TOOL.compare({"before": "[" * 100_000, "after": "[]", "kind": "json"}), "nested")
    refuses(TOOL.BadInput, lambda: TOOL.compare({"before": a_file(b"PK\x03\x04"), "after": "x"}), "ZIP")


def test_deeply_nested_json_is_compared_or_refused() -> None:
    def nest(value: int, levels: int) -> Any:
        whole: Any = value
        for _ in range(levels):
            whole = {"a": [whole]}
        return whole
    same(TOOL.compare({"before": nest(1, 140), "after": nest(2, 140)})["counts"]["changed"], 1)
    same(TOOL.compare({"before": nest(1, 140), "after": nest(1, 140)})["identical"], True)
    refuses(TOOL.BadInput, lambda: TOOL.compare({"before": nest(1, 5_000), "after": nest(2, 5_000)}), "nested")


def test_many_changes_are_counted_fully_and_listed_partly() -> None:
    found = compared({f"k{n}": n for n in range(500)}, {f"k{n}": n + 1 for n in range(500)}, max_changes=10)
    same((found["counts"]["changed"], len(found["changes"]), found["changes_truncated"]), (500, 10, True))


def test_the_schema_takes_text_and_json_and_no_unknown_options() -> None:
    fits("compare-documents", "input", {"before": {"a": 1}, "after": [1], "kind": "json", "identity": ["sku"]})
    for value in ({"before": "a"}, {"before": 1, "after": 2}, {"before": "a", "after": "b", "kind": "xml"},
                  {"before": "a", "after": "b", "fuzzy": True}):
        assert is_refused("compare-documents", value), value
