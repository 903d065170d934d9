"""Promises of the strict lint of skill folders."""

from __future__ import annotations

import re

from skills.lint import NOTES, Finding, links, lint, tokens_about
from skills.parse import parse
from tests.kit import ROOT, same, shared_data

ROWS = ("name: demo", "description: Shows a demo. Use when one is asked for.")
BODY = "# Demo\n\nDo it.\n"


def findings(*rows: str, body: str = BODY, folder: str = "demo", **files: str) -> list[Finding]:
    """What is wrong with a folder of a front matter with these rows; other files as keywords, `skill_toml` for skill.toml."""
    return of("\n".join(("---", *rows, "---", body)), folder, **files)


def of(text: str, folder: str = "demo", **files: str) -> list[Finding]:
    """What is wrong with a folder whose SKILL.md holds this text."""
    every = {"SKILL.md": text.encode(), **{name.replace("_", "."): content.encode() for name, content in files.items()}}
    return lint(parse(folder, every), every)


def brief(found: list[Finding]) -> list[tuple[str, str, int | None]]:
    """(severity, code, line) of each."""
    return [(each.severity, each.code, each.line) for each in found]


def codes(found: list[Finding]) -> list[str]:
    """The codes."""
    return [each.code for each in found]


def test_a_skill_in_the_public_format_has_no_findings() -> None:
    same(findings(*ROWS), [])
    same(findings(*ROWS, "license: MIT", "compatibility: Python", "metadata:", "  version: '1.0'", "allowed-tools: Read Bash(git:*)"), [])
    same(findings("name: demo", "description: |", "  Shows it.", "  Use when asked.", skill_toml='examples = ["show a demo"]\n'), [])


def test_every_note_of_the_lenient_reader_is_a_finding_with_a_hint() -> None:
    text = (ROOT / "skills" / "parse.py").read_text(encoding="utf-8")
    same(set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', text)) - {"allowed-tools", "utf-8", "not-utf8"}, set(NOTES))
    assert all(severity in ("error", "warning") and hint for severity, hint in NOTES.values())
    same(brief(of("\ufeff" + "\n".join(("---", *ROWS, "---", BODY)))), [("error", "byte-order-mark", 1)])
    same(brief(findings("description: Use: it when asked")), [("error", "name-missing", None), ("error", "value-unquoted", 2)])
    same(codes(of("Words.\n")), ["name-missing", "description-missing", "front-matter-missing"])
    same(brief(findings(*ROWS, "metadata:", "  version: 1.0", "  tags: [a]")), [("warning", "metadata-unquoted", 4), ("error", "metadata-nested", 4)])
    same(brief(findings(*ROWS, "user-invocable: false", "allowed-tools: Read, Grep, Glob")),
         [("error", "field-unknown", 4), ("error", "allowed-tools-commas", 5)])


def test_the_rules_of_names() -> None:
    for name, wanted in (("demo", []), ("a-1-b", []), ("Demo", ["name-case"]), ("a--b", ["name-hyphens"]), ("a-", ["name-hyphens"]),
                         ("a_b", ["name-characters"]), ("a.b", ["name-characters"]), ("A_-", ["name-case", "name-hyphens", "name-characters"]),
                         ("名前", ["name-not-ascii"]), ("-a", ["name-unusable"]), ("a b", ["name-unusable"]), ("n" * 65, ["name-unusable"])):
        folder = "demo" if "name-unusable" in wanted else name
        same((name, codes(findings(f"name: {name}", ROWS[1], folder=folder))), (name, wanted))
    same(brief(findings(*ROWS, folder="other")), [("error", "name-differs", 2)])
    same(codes(findings("name: cafe\u0301", ROWS[1], folder="caf\u00e9")), ["name-not-ascii"])


def test_the_rules_of_descriptions() -> None:
    same(findings("name: demo", "description: Use when " + "é" * 1015), [])
    same(brief(findings("name: demo", "description: Use when " + "é" * 1016)), [("error", "description-long", 3)])
    same(brief(findings("name: demo", "description: ''")), [("error", "description-missing", 3)])
    same(brief(findings("name: demo", "description: Formats tables.")), [("warning", "description-when", 3)])
    for words in ("当用户希望提升时使用", "잘라야 할 때", "Úsalo cuando falte", "表を作る場合に使う", "Use this skill for tables"):
        same(findings("name: demo", f"description: {words}"), [])


def test_a_description_that_a_comment_cuts_is_found() -> None:
    (cut,) = findings("name: demo", "description: Use when fixing issue #12 is asked for")
    same((cut.severity, cut.code, cut.line), ("warning", "description-cut", 3))
    assert "'#12 is asked for'" in cut.reason
    for row in ('description: "Use when #1"', "description: Use when a#b", "description: >\n  Use when #1", "description: Use when: fixes #12"):
        assert "description-cut" not in codes(findings("name: demo", row)), row


def test_the_rules_of_the_other_members() -> None:
    same(findings(*ROWS, "compatibility: " + "c" * 500), [])
    same(brief(findings(*ROWS, "compatibility: " + "c" * 501)), [("error", "compatibility-length", 4)])
    same(brief(findings(*ROWS, "compatibility: ''")), [("error", "compatibility-length", 4)])
    same(brief(findings(*ROWS, "metadata: {a: b}")), [("error", "metadata-braces", 4)])
    same(codes(findings(*ROWS, "metadata: {}")), ["metadata-braces"])
    same(brief(findings(*ROWS, "license: [MIT]")), [("error", "field-not-text", 4)])
    same(brief(findings(*ROWS, "license: see --- below")), [("warning", "three-hyphens", 4)])


def test_a_body_that_is_empty_or_too_long_is_advised_against() -> None:
    same(brief(findings(*ROWS, body="")), [("warning", "body-empty", None)])
    same(findings(*ROWS, body="", skill_toml='examples = ["x"]'), [])
    same(findings(*ROWS, body="x\n" * 500), [])
    same(brief(findings(*ROWS, body="x\n" * 501)), [("warning", "body-lines", 5)])
    same(brief(findings(*ROWS, body="word " * 4010)), [("warning", "body-tokens", 5)])
    same((tokens_about("word" * 10), tokens_about("漢字"), tokens_about("")), (10, 2, 0))


def test_links_to_files_that_are_not_in_the_folder_are_found() -> None:
    body = ("See [a](docs/a.md), [b](docs/b.md#part \"t\") and ![c](<my c.png>).\n\n```\n[no](no.md)\n```\n`[no](no.md)` [up](../x.md)\n"
            "[web](https://x.y/z) [mail](mailto:a@b) [here](#here) [root](/etc) [var]({dir}/x) [ref]\n\n"
            "[ref]: docs/ref.md\n[d](docs/) [e](./docs/a%2Emd)\n")
    every = {"SKILL.md": "\n".join(("---", *ROWS, "---", body)).encode(), "docs/a.md": b"", "docs/ref.md": b""}
    found = lint(parse("demo", every), every)
    same([(each.code, each.line, each.reason.split("'")[1]) for each in found],
         [("link-missing", 5, "docs/b.md#part"), ("link-missing", 5, "my c.png"), ("link-outside", 10, "../x.md")])
    same({each.severity for each in found}, {"warning"})
    same(list(links("~~~\n[a](b)\n```\n~~~\n\n[c](d(e).md)")), [(5, "d(e).md")])
    same(len(findings(*ROWS, body="[a](b.md)\n" * 100)), 20)


def test_the_habits_of_a_contract() -> None:
    same(brief(findings(*ROWS, skill_toml='version = "1"\n')), [("warning", "examples-missing", 1)])
    toml = 'keywords = [\n  "csv",\n  "table",\n  "CSV",\n]\nexamples = ["show me", "Show  me"]\n'
    found = findings(*ROWS, skill_toml=toml)
    same(brief(found), [("warning", "keywords-repeated", 4), ("warning", "examples-repeated", 6)])
    same({each.file for each in found}, {"skill.toml"})
    many = ", ".join(f'"word {n}"' for n in range(51))
    same(brief(findings(*ROWS, skill_toml=f'examples = ["x"]\nkeywords = [{many}]\n')), [("warning", "keywords-many", 2)])
    same(findings(*ROWS, skill_toml='examples = "of a wrong type"\nkeywords = [1, 1]\n'), [])


def test_findings_stand_in_the_order_of_files_and_lines() -> None:
    found = findings("name: Demo", "description: Formats.", "x: 1", folder="demo", skill_toml="", body="[a](b.md)")
    same([(each.file, each.line) for each in found],
         [("SKILL.md", 2), ("SKILL.md", 2), ("SKILL.md", 3), ("SKILL.md", 4), ("SKILL.md", 6), ("skill.toml", 1)])


def test_the_verdict_on_public_skills_is_that_of_the_reference_validator() -> None:
    refused = {
        "JubaKitiashvili-onemore--root", "Kokxi-qa-team-skills--root", "Timmy6942025-opencode-builder-skill--opencode-github",
        "benjaminsky-docs-repair--metadiscourse-audit", "creativestackai-write-human--root",
        "deverakondasuryatheja-hash-deliberate-skills--deliberate-plan", "gdorta-claude-release-radar--claude-release-radar",
        "iasdaso121-prediction-markets-skill--prediction-markets",
        "jasenwyatt-wordpress-gutenberg-designer--root", "mhd-nasher-loom--root"}
    refused |= {path.name for path in shared_data("skills").glob("affaan-m-everything-claude-code--*")}
    found = set()
    for path in shared_data("skills").glob("*/SKILL.md"):
        files = {"SKILL.md": path.read_bytes()}
        name = parse(path.parent.name, files).name
        if any(each.severity == "error" for each in lint(parse(name, files), files)):
            found.add(path.parent.name)
    same(sorted(found ^ refused), [])
