"""Trigger phrases of a skill: what is read, and what is wrong with a file that cannot be. They are never evidence."""

from __future__ import annotations

import json
from typing import Any

from skills.bundle import SkillFile
from skills.cache import Library
from skills.compile import compile_skill
from skills.triggers import TRIGGERS_BYTES_MAX, TRIGGERS_FILE, TRIGGERS_MAX, Triggers, read
from state.limits import TASK_CHARACTERS_MAX
from tests.kit import ROOT, a_folder, same
from tests.skills.builders import a_library, a_skill, the_files

LIBRARY = ROOT / "skills" / "library"
SHIPPED_MIN = 16            # phrases of a shipped skill: eight of each kind


def of(value: Any, *examples: str) -> Triggers:
    """What is read from a value, written with a member or item a line."""
    return read(json.dumps(value, indent=1, ensure_ascii=False).encode(), examples)


def codes(found: Triggers) -> list[tuple[str, str, int | None]]:
    """(severity, code, line) of each finding."""
    return [(each.severity, each.code, each.line) for each in found.findings]


def test_both_shapes_give_the_same_phrases_with_their_lines() -> None:
    one = of({"should_trigger": ["wake me at six", "réveille-moi"], "should_not_trigger": ["what time is it?"]})
    two = of([{"query": "wake me at six", "should_trigger": True}, {"query": "réveille-moi", "should_trigger": True},
              {"id": 7, "query": "what time is it?", "should_trigger": False}])
    same((one.findings, two.findings), ((), ()))
    same([tuple(each) for each in one.phrases], [("wake me at six", True, 3), ("réveille-moi", True, 4), ("what time is it?", False, 7)])
    same([tuple(each) for each in two.phrases], [("wake me at six", True, 3), ("réveille-moi", True, 7), ("what time is it?", False, 12)])
    same((of({"should_trigger": ["a b"]}).findings, of({}), of([])), ((), Triggers((), ()), Triggers((), ())))


def test_a_file_that_cannot_be_read_says_where_and_why() -> None:
    for data, code, line, words in (
            (b'{"should_trigger": [\n"a",\nx]}', "triggers-not-json", 3, "column"), (b"", "triggers-not-json", 1, "not JSON"),
            (b'{"should_trigger": [], "should_trigger": []}', "triggers-not-json", None, "twice"),
            (b"[" * 100_000, "triggers-not-json", None, "deeply"),
            (b'["a\n\xff"]', "triggers-not-utf8", 2, "0xFF"), (b" " * (TRIGGERS_BYTES_MAX + 1), "triggers-large", None, str(TRIGGERS_BYTES_MAX)),
            (b'"a"', "triggers-shape", None, "a text"), (b"7", "triggers-shape", None, "a number"), (b'["a"]', "triggers-shape", None, "item 0"),
            (b'{"should_triger": []}', "triggers-shape", None, "'should_triger'"),
            (b'{"should_trigger": {}}', "triggers-shape", None, "a list of texts")):
        found = read(data)
        same((data[:40], found.phrases, codes(found)), (data[:40], (), [("error", code, line)]))
        assert words in found.findings[0].reason and found.findings[0].hint and found.findings[0].file == TRIGGERS_FILE, found.findings[0]


def test_what_is_wrong_with_a_phrase_leaves_the_others() -> None:
    for value, code in ((7, "triggers-shape"), (None, "triggers-shape"), (" ", "trigger-empty"), ("a" * (TASK_CHARACTERS_MAX + 1), "trigger-long"),
                        ("half \ud800", "trigger-not-unicode")):
        found = read(json.dumps({"should_trigger": [value, "a good one"]}).encode())
        same(([each.phrase for each in found.phrases], [each.code for each in found.findings]), (["a good one"], [code]))
    found = of([{"query": "a"}, {"query": "b", "should_trigger": "yes"}, {"should_trigger": True}, {"query": "c", "should_trigger": True}])
    same(([each.phrase for each in found.phrases], codes(found)), (["c"], [("error", "triggers-shape", line) for line in (3, 6, None)]))


def test_a_phrase_that_is_there_again_counts_once() -> None:
    found = of({"should_trigger": ["wake me", "Wake  me"], "should_not_trigger": ["wake me"]})
    same(codes(found), [("warning", "trigger-repeated", 4), ("error", "trigger-contradicts", 7)])
    same(len(found.phrases), 1)


def test_a_phrase_that_is_an_example_is_told_since_it_measures_nothing() -> None:
    same(codes(of({"should_trigger": ["wake  Me"]}, "wake me")), [("warning", "trigger-copied", 3)])
    same(codes(of({"should_trigger": ["wake me"]}, "wake me up")), [])


def test_of_too_many_phrases_the_first_are_asked() -> None:
    found = of({"should_trigger": [f"phrase {number}" for number in range(TRIGGERS_MAX + 1)]})
    same((len(found.phrases), codes(found)), (TRIGGERS_MAX, [("error", "triggers-many", None)]))


def test_phrases_are_a_file_of_the_bundle_and_no_evidence() -> None:
    plain, with_phrases = the_files(), {**the_files(), TRIGGERS_FILE: SkillFile(b'{"should_trigger": ["zebra"]}')}
    one, other = compile_skill("demo", plain).document(), compile_skill("demo", with_phrases).document()
    assert one.pop("bundle") != other.pop("bundle")
    same(one, other)
    assert "zebra" not in json.dumps(other)


def test_a_bad_file_harms_neither_the_skill_nor_its_neighbours() -> None:
    root = a_folder()
    a_skill(root, "one", **{"evals/triggers__json": "{"})
    a_skill(root, "two")
    library: Library = a_library(root)
    same((sorted(library.current().skills), library.current().broken), (["one", "two"], ()))


def test_every_shipped_skill_has_phrases_of_both_kinds_that_are_no_copies() -> None:
    for folder in sorted(path.parent for path in LIBRARY.glob("*/SKILL.md")):
        definition = compile_skill(folder.name, {str(path.relative_to(folder)): SkillFile(path.read_bytes(), path.stat().st_mode & 0o100 != 0)
                                                 for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts})
        found = read((folder / TRIGGERS_FILE).read_bytes(), definition.examples)
        same((folder.name, found.findings), (folder.name, ()))
        kinds = [trigger.should for trigger in found.phrases]
        assert len(kinds) >= SHIPPED_MIN and kinds.count(True) >= 8 <= kinds.count(False), folder.name
