"""Promises of the lenient reader of skill folders."""

from __future__ import annotations

import json
from typing import Any

from skills.parse import DESCRIPTION_CHARACTERS_MAX, SKILL_FILE_BYTES_MAX, TOML_BYTES_MAX, SkillError, Source, first_paragraph, parse
from skills.toml_lines import TomlLines
from tests.kit import refuses, same, shared_data

FRONT = "---\nname: demo\ndescription: Use when a demo is needed.\n---\n\n# Demo\n\nDo it.\n"


def source(skill: str | bytes = FRONT, folder: str = "demo", **files: str | bytes) -> Source:
    """What a folder says; other files are given as keywords, `skill_toml` for skill.toml."""
    every = {"SKILL.md": skill, **{name.replace("_", "."): content for name, content in files.items()}}
    return parse(folder, {name: content.encode() if isinstance(content, str) else content for name, content in every.items()})


def front(*rows: str, body: str = "Do it.", **more: Any) -> Source:
    """What a front matter with a name and a description and these rows says."""
    return source("\n".join(("---", "name: demo", "description: Use it.", *rows, "---", body)), **more)


def refused(skill: str | bytes, line: int | None, *words: str, folder: str = "demo", **files: str | bytes) -> SkillError:
    """The refusal of a folder, with its line and words of its reason."""
    error: SkillError = refuses(SkillError, lambda: source(skill, folder, **files), *words)
    assert error.line == line, f"{error} is not at line {line}"
    return error


def codes(of: Source) -> list[str]:
    """What was noted."""
    return [note.code for note in of.notes]


def test_a_skill_in_the_public_format_is_read_whole_and_without_a_note() -> None:
    text = ("---\nname: csv-profile\ndescription: >-\n  Profiles a CSV file.\n  Use when columns are asked for.\nlicense: MIT\n"
            "compatibility: Python 3.11\nmetadata:\n  author: 'Ada'\n  version: \"1.0\"\nallowed-tools: Read Bash(git add:*) Grep\n"
            "---\n\n# How\n\nRead it.\n\n")
    got = source(text, "csv-profile")
    same((got.name, got.folder, got.file, got.description), ("csv-profile", "csv-profile", "SKILL.md",
                                                             "Profiles a CSV file. Use when columns are asked for."))
    same((got.body, got.body_line, got.license, got.compatibility), ("# How\n\nRead it.", 14, "MIT", "Python 3.11"))
    same((got.metadata, got.allowed_tools), ({"author": "Ada", "version": "1.0"}, ("Read", "Bash(git add:*)", "Grep")))
    same((got.extra, got.toml, got.has_toml, got.notes), ({}, {}, False, ()))
    same(got.lines, {"name": 2, "description": 3, "license": 6, "compatibility": 7, "metadata": 8, "allowed-tools": 11})


def test_a_contract_beside_it_is_read_with_the_line_of_each_member() -> None:
    got = source(skill_toml='version = "1"\n\n[[steps]]\nid = "a"\n\n[[steps]]\nid = "b"\nretry = { attempts = 3 }\n')
    same((got.has_toml, got.toml["steps"][1]["retry"]), (True, {"attempts": 3}))
    same([got.toml_lines.line_of(*path) for path in ((), ("version",), ("steps",), ("steps", 1), ("steps", 1, "retry", "attempts"))], [1, 1, 3, 6, 8])
    same((source(skill_toml="").has_toml, source().toml_lines.line_of("steps", 3)), (True, 1))


def test_windows_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    plain = source(skill_toml="a = 1\n\n[b]\n")
    dos = source(FRONT.replace("\n", "\r\n"), skill_toml="a = 1\r\n\r\n[b]\r\n")
    same((dos, dos.toml_lines.line_of("b")), (plain, 3))
    marked = source("\ufeff" + FRONT, skill_toml="\ufeffa = 1\n")
    same((marked.description, marked.body, codes(marked)), (plain.description, plain.body, ["byte-order-mark", "byte-order-mark"]))
    same([note.file for note in marked.notes], ["SKILL.md", "skill.toml"])


def test_the_file_may_be_written_in_lower_case_but_upper_case_goes_first() -> None:
    lower = parse("demo", {"skill.md": FRONT.encode()})
    same((lower.name, lower.file, codes(lower)), ("demo", "skill.md", []))
    both = parse("demo", {"skill.md": b"---\nname: other\n---\nx", "SKILL.md": FRONT.encode()})
    same((both.name, codes(both)), ("demo", ["two-skill-files"]))
    refuses(SkillError, lambda: parse("demo", {"Skill.md": b"", "x/SKILL.md": b""}), "SKILL.md: there is no SKILL.md; rename Skill.md")
    refuses(SkillError, lambda: parse("demo", {"readme.md": b""}), "there is no SKILL.md in this folder")


def test_what_the_front_matter_does_not_say_is_taken_from_the_folder_and_the_body() -> None:
    bare = source("# Title\n\n> quote\n\n```\ncode\n```\n\nFirst *real*\nparagraph.\n\nSecond.\n")
    same((bare.name, bare.description, bare.body_line), ("demo", "First *real* paragraph.", 1))
    same(codes(bare), ["front-matter-missing", "name-missing", "description-missing"])
    half = source("\n\n---\nname:\ndescription: ''\n---\nBody words.")
    same((half.name, half.description, codes(half)), ("demo", "Body words.", ["text-before-front-matter", "name-missing", "description-missing"]))
    same(source("---\n---\n\n\nBody.").body_line, 5)


def test_the_first_paragraph_is_prose_where_there_is_any() -> None:
    same(first_paragraph("# Only a title"), "Only a title")
    same(first_paragraph("Title\n=====\n\nText."), "Title")
    same(first_paragraph("![logo](x.png)\n[![badge](y)](z)\n<p>\n| a |\n---\n\nWords here."), "Words here.")
    same(first_paragraph("```\ncode\n```"), "```")
    same(len(first_paragraph("word " * 1000)) <= DESCRIPTION_CHARACTERS_MAX, True)


def test_a_name_that_is_not_the_folders_is_kept_where_it_can_be_used() -> None:
    other = source(folder="Other Folder")
    same((other.name, codes(other)), ("demo", ["name-differs"]))
    unusable = source(FRONT.replace("demo\n", "My Demo!\n", 1), folder="my-demo")
    same((unusable.name, codes(unusable), unusable.notes[0].line), ("my-demo", ["name-unusable"], 2))
    same(source(FRONT.replace("demo\n", "[a]\n", 1)).name, "demo")
    same(codes(source(FRONT.replace("demo\n", "ｄｅｍｏ\n", 1))), [])
    same(codes(source(FRONT.replace("demo\n", "cafe\u0301\n", 1), folder="caf\u00e9")), [])
    same(source(FRONT.replace("demo\n", "2024\n", 1)).name, "2024")


def test_no_usable_name_is_refused_with_both_names_that_were_tried() -> None:
    refused("---\nname: a b\n---\nx", 2, "no usable name", "'a b' holds ' '", "folder's name '-x' does not begin", folder="-x")
    refused("x", None, "no usable name: the front matter has no name", "'my folder' holds ' '", folder="my folder")
    refused(f"---\nname: {'n' * 65}\n---\nx", 2, "has 65 characters, 64 at most", "is empty", folder="")
    refused("---\nname: ../up\n---\nx", 2, "holds '/'", folder="a/b")


def test_long_descriptions_are_kept_whole_and_noted() -> None:
    same(codes(source(FRONT.replace("Use when", "é" * 1000))), [])
    long = source(FRONT.replace("Use when", "word " * 300))
    same((codes(long), len(long.description) > 1024), (["description-long"], True))


def test_allowed_tools_come_as_text_with_spaces_or_commas_or_as_a_list() -> None:
    for row, tools, noted in (("Read, Grep,Glob", ("Read", "Grep", "Glob"), ["allowed-tools-commas"]),
                              ("[Read, 'Bash(git add:*)']", ("Read", "Bash(git add:*)"), ["allowed-tools-list"]),
                              ("\n  - Read\n  - Grep", ("Read", "Grep"), ["allowed-tools-list"]), ("Read  Grep", ("Read", "Grep"), []),
                              ("Bash(git add, git rm) Read", ("Bash(git add, git rm)", "Read"), []), ("", (), []), ("Bash(x", ("Bash(x",), [])):
        got = front(f"allowed-tools: {row}")
        same((got.allowed_tools, codes(got)), (tools, noted))
    refused(FRONT.replace("---\n\n", "allowed-tools: {Read: yes}\n---\n\n"), 4, "must name tools")
    refused(FRONT.replace("---\n\n", "allowed-tools: [[Read]]\n---\n\n"), 4, "must name tools")


def test_metadata_values_become_text_as_they_are_written() -> None:
    got = front("metadata:", "  version: 1.10", "  big: 1e3", "  on: yes", "  off: null", "  empty:", "  list: [a, 1]", "  map:", "    k: v")
    same(got.metadata, {"version": "1.10", "big": "1e3", "on": "yes", "off": "null", "empty": "", "list": '["a", "1"]', "map": '{"k": "v"}'})
    same(codes(got), ["metadata-unquoted"] * 4 + ["metadata-nested"] * 2)
    odd = front("metadata: just words")
    same((odd.metadata, odd.extra, codes(odd)), ({}, {"metadata": "just words"}, ["metadata-not-map"]))
    same(codes(front("metadata:")), [])


def test_unknown_members_are_kept_with_their_types() -> None:
    got = front("user-invocable: false", "allowed-tools: Read, Grep, Glob", "od: {scenario: import, n: 2}", "odd: .nan", "deep: [1, [.inf]]")
    same(got.extra, {"user-invocable": False, "od": {"scenario": "import", "n": 2}, "odd": ".nan", "deep": ["1", [".inf"]]})
    same((got.allowed_tools, codes(got).count("field-unknown")), (("Read", "Grep", "Glob"), 4))
    json.dumps(got.extra, allow_nan=False)
    licensed = front("license: [MIT, ISC]", "compatibility: 3")
    same((licensed.license, licensed.compatibility, codes(licensed)), ('["MIT", "ISC"]', "3", ["field-not-text"]))


def test_a_value_that_everybody_takes_as_text_is_read_as_it_stands_and_noted() -> None:
    for text in ("Use for data: odds, prices", "see also: a \"quoted\": word \\ and so on", "[file] [mode]", "**/*.py", "*.md", "@scope/name",
                 "`code` first", "50%: half", "{a,b}/* here", "x: fixes #12"):
        got = source(f"---\nname: demo\ndescription: {text}  \n---\nBody")
        same((got.description, codes(got), got.notes[0].line), (text, ["value-unquoted"], 3))
    two = source("---\nname: demo\ndescription: a: b\nargument-hint: [x] [y]\n---\n")
    same((two.description, two.extra, codes(two)), ("a: b", {"argument-hint": "[x] [y]"}, ["value-unquoted", "value-unquoted", "field-unknown"]))


def test_what_could_mean_two_things_is_refused_with_the_line_and_never_guessed() -> None:
    for rows, line, word in (("description: a: b # or a comment", 3, "quote"), ("description: > a: b", 3, "begins on the next row"),
                             ("description: \"a\" b", 3, "closing quote"), ("description: a: b\n  c", 3, "quote"),
                             ("description: a\n  b: c", 4, "quote"),
                             ("description: [a: b]", 3, "braces"), ("description: [a: b] # c", 3, "braces"), ("description: *anchor", 3, "alias"),
                             ("description: &x y", 3, "anchor"), ("description: !t y", 3, "tag"), ("description: 'it's'", 3, "quote"),
                             ("description: [a", 3, "never closed"), ("description: {{x}}", 3, "as a key"), ("metadata:\n  a: b: c", 4, "quote"),
                             ("description: a\ndescription: b", 4, "second time"), ("\tdescription: a", 3, "tab"), ("words", 3, "key: value"),
                             ("description:\n  - a", 3, "is a list, not text"), ("description:\n  Use when: a", 3, "is a map, not text")):
        refused(f"---\nname: demo\n{rows}\n---\nBody", line, f"SKILL.md:{line}: ", word)
    refused("---\n- a\n---\nBody", 2, "the top level is a list")
    refused("---\nWords between rules.\n---\nBody", 2, "the top level is a single value")


def test_a_front_matter_that_is_never_closed_is_refused() -> None:
    refused("---\nname: demo\ndescription: x\n\n# Body\n", 1, "opened here and never closed")
    refused("\n---\nname: demo\n ---\n----\n--- x\n", 2, "never closed")
    same(source("---  \nname: demo\ndescription: |\n  a\n  ---\n--- \nBody\n---\n").body, "Body\n---")


def test_a_skill_that_says_nothing_is_refused() -> None:
    for text in ("", "\n \n", "---\nname: demo\n---\n", "---\nname: demo\ndescription: ' '\n---\n\n"):
        error = refuses(SkillError, lambda text=text: source(text), "neither a description nor a body")  # type: ignore[misc]
        same(error.file, "SKILL.md")
    same(source("---\ndescription: x\n---").body, "")


def test_bytes_that_are_not_utf8_or_too_many_are_refused() -> None:
    refused(b"---\nname: demo\nx: caf\xe9\n---\n", 3, "SKILL.md:3: not UTF-8: the byte 0xE9")
    refused(FRONT.encode("utf-16"), 1, "UTF-16; save the file as UTF-8")
    refused(b"x" * (SKILL_FILE_BYTES_MAX + 1), None, "bytes; at most")
    refused("---\nx: " + "y" * 70_000 + "\n---\n", 2, "front matter of more than 65536 characters")
    same(refused(FRONT, 2, "not UTF-8", skill_toml=b"a = 1\n\xff").file, "skill.toml")
    refused(FRONT, None, "at most", skill_toml=b"#" * (TOML_BYTES_MAX + 1))


def test_a_contract_that_is_no_toml_is_refused_at_its_line() -> None:
    same(str(refused(FRONT, 3, skill_toml="a = 1\n\nb c = 2\n")), "skill.toml:3: not valid TOML: Expected '=' after a key in a key/value pair")
    refused(FRONT, 2, "not valid TOML", skill_toml="a = 1\nb = [1,\n\n")
    refused(FRONT, 4, "Cannot overwrite a value", skill_toml="[x]\na = 1\nb = 1\na = 2\n")
    refused(FRONT, None, "digits", skill_toml="a = " + "9" * 5000)
    for bomb in ("a = " + "[" * 50_000, "a = " + "{a=" * 50_000):
        refused(FRONT, None, "nested too deeply", skill_toml=bomb)
    refused(FRONT, 2, "nested deeper than 64", skill_toml="x = 1\na = " + "[" * 70 + "]" * 70)
    refused(FRONT, 1, "nested deeper than 64", skill_toml="[" + "a." * 70 + "a]")


def test_reading_never_fails_with_anything_but_a_refusal() -> None:
    toml = '[[steps]]\nid = """a\n"""\nx = { y = [1, {z = \'\'}] }\n'
    rows = "---\nname: demo\ndescription: >\n  a\nmetadata: {a: [b, \"c\"]}\nallowed-tools: a, b\n---\nBody [x](y)\n"
    for text in (toml, rows):
        data = text.encode()
        for cut in range(len(data)):
            for broken in (data[:cut], data[:cut] + data[cut + 1:], data[:cut] + b"\xf0" + data[cut:], data[:cut] + b"\n[\"" + data[cut:]):
                try:
                    source(broken) if text is rows else source(skill_toml=broken)
                except SkillError as error:
                    assert error.reason and (error.line is None or error.line > 0)


# -- Lines of a TOML document ---------------------------------------------------------------------------------------------------------

CONTRACT = '''# [not] = a table
title = "x"        # [nor] = this
text = """
[[steps]]
id = "no"
"" \\""" end""""
raw = \'\'\'
[input]
\'\'\'\'
list = [
  "a]", # ]
  [ { k = "}", "q.r" = 1 },
    2 ],
]
[input]
properties.text = { type = "string", max = 10 }
properties."odd key".type = 'number'
[[steps]]
id = "a"
at = 1979-05-27 07:32:00
[steps.needs]
labels = ["big"]
[[steps.parts]]
n = 1
[[steps.parts]]
n = 2
[[steps]]
id = "b"
[ steps . "deep.er" . x ]
'''


def test_every_member_of_a_toml_document_has_its_line() -> None:
    lines = TomlLines(CONTRACT)
    for line, path in ((2, ("title",)), (3, ("text",)), (7, ("raw",)), (10, ("list",)), (11, ("list", 0)), (12, ("list", 1)),
                       (12, ("list", 1, 0, "q.r")), (13, ("list", 1, 1)), (15, ("input",)), (16, ("input", "properties")),
                       (16, ("input", "properties", "text", "max")), (17, ("input", "properties", "odd key", "type")), (18, ("steps",)),
                       (18, ("steps", 0)), (19, ("steps", 0, "id")),
                       (20, ("steps", 0, "at")), (21, ("steps", 0, "needs")), (22, ("steps", 0, "needs", "labels", 0)), (23, ("steps", 0, "parts")),
                       (24, ("steps", 0, "parts", 0, "n")), (25, ("steps", 0, "parts", 1)), (26, ("steps", 0, "parts", 1, "n")), (27, ("steps", 1)),
                       (28, ("steps", 1, "id")), (29, ("steps", 1, "deep.er", "x"))):
        same((path, lines.line_of(*path)), (path, line))


def test_what_is_not_there_has_the_line_of_the_nearest_thing_around_it() -> None:
    lines = TomlLines(CONTRACT)
    for line, path in ((27, ("steps", 1, "retry", "attempts")), (18, ("steps", 7, "id")), (1, ("output", "type")),
                       (22, ("steps", 0, "needs", "labels", 5)), (16, ("input", "properties", "text", "type", "x")), (1, ())):
        same((path, lines.line_of(*path)), (path, line))
    same(TomlLines("a = 1\r\nb = '''\r\n'''\r\nc = 2\r\n").line_of("c"), 4)


# -- The wild ---------------------------------------------------------------------------------------------------------------------------


def test_all_public_skill_folders_load() -> None:
    noted: dict[str, int] = {}
    loaded = 0
    for folder in sorted(path for path in shared_data("skills").iterdir() if path.is_dir()):
        got = parse(folder.name, {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
        assert got.name and got.description and got.body, folder.name
        loaded += 1
        for code in set(codes(got)):
            noted[code] = noted.get(code, 0) + 1
    same((loaded, noted.pop("name-differs")), (66, 65))
    same(noted, {"description-long": 4, "field-unknown": 15, "metadata-nested": 1, "allowed-tools-list": 2, "value-unquoted": 1,
                 "front-matter-missing": 1, "name-missing": 1, "description-missing": 1})


def test_public_front_matters_mean_what_their_authors_meant() -> None:
    def read(folder: str) -> Source:
        return parse(folder, {"SKILL.md": shared_data("skills", folder, "SKILL.md").read_bytes()})

    odds = read("iasdaso121-prediction-markets-skill--prediction-markets")
    assert odds.description.startswith("Use for anything involving Kalshi or Polymarket prediction-market data: getting current odds")
    assert read("Timmy6942025-opencode-builder-skill--opencode-github").description.startswith("This skill covers OpenCode's GitHub integration")
    team = read("Kokxi-qa-team-skills--root").extra
    assert team["security"].startswith("本技能核心为纯 Prompt 文本") and " - **文件读写**：" in team["security"] and len(team["trigger"]) == 14
    same(read("deverakondasuryatheja-hash-deliberate-skills--deliberate-plan").allowed_tools[:2], ("Read", "Write"))
    same(read("affaan-m-everything-claude-code--golang-testing").metadata["globs"], '["**/*.go", "**/go.mod", "**/go.sum"]')
