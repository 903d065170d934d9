"""Strict lint of a skill folder that `skills.parse` has read: what another tool would refuse, and what keeps a skill from being found.

An error breaks the public Agent Skills format, a warning its advice or our own habits. Codes are stable. Nothing here stops a skill from
being used: loading is lenient, `python3 server.py check` is strict. What needs a compile (steps, schemas, templates) is not judged here.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from skills.parse import TOML_FILE, Source

COMPATIBILITY_CHARACTERS_MAX = 500      # the public format's own limit, as the next two
BODY_LINES_MAX = 500
BODY_TOKENS_MAX = 5_000
CHARACTERS_PER_TOKEN = 4                # of ASCII prose; another script takes about a token a character
KEYWORDS_MAX = 50                       # in several languages; more outweigh what the description says
BROKEN_LINKS_MAX = 20                   # a list that a person still reads
ROW_CHARACTERS_MAX = 20_000             # of a row that is searched for links; a longer one is data

NOTES = {      # severity and hint for each code of `skills.parse`
    "byte-order-mark": ("error", "save the file as UTF-8 without a byte order mark"),
    "text-before-front-matter": ("error", "let the file begin with the three hyphens"),
    "front-matter-missing": ("error", "begin the file with ---, `name: ...`, `description: ...`, ---"),
    "two-skill-files": ("warning", "keep SKILL.md"),
    "value-unquoted": ("error", "put the value into double quotes"),
    "name-missing": ("error", "add `name:`, equal to the folder's name"),
    "name-unusable": ("error", "use lower-case letters, digits and single hyphens"),
    "name-differs": ("error", "rename the folder or the skill"),
    "description-missing": ("error", "add `description:` that says what the skill does and when to use it"),
    "description-long": ("error", "say what the skill does and when to use it; move the rest into the body"),
    "field-not-text": ("error", "write one text"),
    "field-unknown": ("error", "move it below `metadata:`"),
    "metadata-not-map": ("error", "write rows of `key: \"text\"` below `metadata:`"),
    "metadata-nested": ("error", "write one text, for example with spaces between the items"),
    "metadata-unquoted": ("warning", "put the value into quotes"),
    "allowed-tools-commas": ("error", "separate the tools by spaces"),
    "allowed-tools-list": ("error", "write the tools into one text, separated by spaces"),
}
_WHEN = re.compile(r"\b(?:when|whenever|if|use (?:this|it|for|to|after|before|at)|used (?:for|to)|for (?:any|every|all)|trigger|before|after|"
                   r"cuando|quando|lorsque|quand|wenn|falls|если|когда)|当|當|时|時|用于|用於|适用|適用|場合|とき|際|때|경우|사용", re.IGNORECASE)
_FENCE = re.compile(r"[ ]{0,3}(```+|~~~+)")
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
_LINK = re.compile(r"\]\(\s*(?:<([^<>]*)>|([^()\s]+(?:\([^()\s]*\)[^()\s]*)*))(?:\s+[\"'(][^)]*)?\s*\)")
_REFERENCE = re.compile(r"[ ]{0,3}\[[^\]]+\]:\s*<?([^\s<>]+)")
_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//|/|#|\?|~|\{|\$|%7B", re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """One thing to put right. `severity` is "error" or "warning", `code` stable and kebab-case, `line` None for the whole file."""
    severity: str
    code: str
    file: str
    line: int | None
    reason: str
    hint: str


def lint(source: Source, files: Mapping[str, bytes]) -> list[Finding]:
    """What is wrong with the folder that `source` was read from (relative posix paths to bytes), by file and line."""
    found = [Finding(*_severity(note.code), file=note.file, line=note.line, reason=note.reason, hint=NOTES[note.code][1]) for note in source.notes]
    found += [*_name(source), *_description(source, files), *_front_matter(source, files), *_body(source), *_links(source, files)]
    if source.has_toml:
        found += _contract(source)
    return sorted(found, key=lambda finding: (finding.file == TOML_FILE, finding.file, finding.line or 0))


def _severity(code: str) -> tuple[str, str]:
    """The first two members of a finding for a note's code."""
    return NOTES[code][0], code


def _error(source: Source, code: str, member: str, reason: str, hint: str) -> Finding:
    """A breach of the public format by a member of the front matter."""
    return Finding("error", code, source.file, source.lines.get(member), reason, hint)


def _warning(source: Source, code: str, line: int | None, reason: str, hint: str) -> Finding:
    """Advice about the skill file."""
    return Finding("warning", code, source.file, line, reason, hint)


def _name(source: Source) -> Iterator[Finding]:
    """The rules of a name, where the front matter gives the name that counts."""
    name = source.name
    if any(note.code in ("name-missing", "name-unusable") for note in source.notes):
        return
    hint = "use lower-case letters, digits and single hyphens, as in `csv-profile`"
    if name != name.lower():
        yield _error(source, "name-case", "name", f"the name {name!r} has capital letters", hint)
    if name.startswith("-") or name.endswith("-") or "--" in name:
        yield _error(source, "name-hyphens", "name", f"the name {name!r} has a hyphen at an end, or two in a row", hint)
    if not all(character.isalnum() or character == "-" for character in name):
        yield _error(source, "name-characters", "name", f"the name {name!r} has a dot or an underscore", hint)
    if not name.isascii():
        yield _warning(source, "name-not-ascii", source.lines.get("name"), f"the name {name!r} has letters that some tools refuse", hint)


def _description(source: Source, files: Mapping[str, bytes]) -> Iterator[Finding]:
    """Advice about the description: it is what a router reads."""
    line = source.lines.get("description")
    if line is None or any(note.code == "description-missing" for note in source.notes):
        return
    if not _WHEN.search(source.description):
        yield _warning(source, "description-when", line, "the description does not say when to use the skill", "add a sentence: Use when ...")
    row = _rows(source, files)[line - 1]
    value = row.partition(":")[2].strip(" \t")
    cut = re.search(r"[ \t]#.*", value)
    if cut and value[0] not in "\"'|>" and cut[0].strip() not in source.description:
        yield _warning(source, "description-cut", line, f"YAML takes {cut[0].strip()[:40]!r} as a comment, so it is not in the description",
                       "put the description into quotes")


def _front_matter(source: Source, files: Mapping[str, bytes]) -> Iterator[Finding]:
    """The rules of the other members, and what trips the reference reader."""
    if "compatibility" in source.lines:
        size = len(source.compatibility or "")
        if not 1 <= size <= COMPATIBILITY_CHARACTERS_MAX:
            yield _error(source, "compatibility-length", "compatibility", f"compatibility has {size} characters; 1 to {COMPATIBILITY_CHARACTERS_MAX} "
                         "are allowed", "say in a sentence what the skill needs, or leave it out")
    if not source.lines:
        return
    rows = _rows(source, files)
    if "metadata" in source.lines and rows[source.lines["metadata"] - 1].partition(":")[2].lstrip().startswith("{"):
        yield _error(source, "metadata-braces", "metadata", "metadata is written in braces, which the reference reader refuses",
                     "write one row of `key: \"text\"` each")
    first = min(source.lines.values())
    closing = next(number for number, row in enumerate(rows[first - 1:], first) if row.rstrip(" \t") == "---")
    for number in range(first, closing):
        if "---" in rows[number - 1]:
            yield _warning(source, "three-hyphens", number, "three hyphens inside the front matter; the reference reader takes them for its end",
                           "write a dash, or another number of hyphens")


def _body(source: Source) -> Iterator[Finding]:
    """The size of the instructions."""
    lines = source.body.count("\n") + 1
    if not source.body and not source.has_toml:
        yield _warning(source, "body-empty", None, "there are no instructions and no skill.toml, so a model gets the description only",
                       "write below the front matter how the task is done")
    if lines > BODY_LINES_MAX:
        yield _warning(source, "body-lines", source.body_line, f"the body has {lines} lines; {BODY_LINES_MAX} at most are advised",
                       "move details into files that the body links to")
    tokens = tokens_about(source.body)
    if tokens > BODY_TOKENS_MAX:
        yield _warning(source, "body-tokens", source.body_line, f"the body takes about {tokens} tokens; {BODY_TOKENS_MAX} at most are advised",
                       "move details into files that the body links to")


def tokens_about(text: str) -> int:
    """About how many tokens a model takes for the text."""
    ascii_characters = len(text.encode("ascii", "ignore"))
    return ascii_characters // CHARACTERS_PER_TOKEN + len(text) - ascii_characters


def _links(source: Source, files: Mapping[str, bytes]) -> Iterator[Finding]:
    """Links of the body to files of the folder that are not there."""
    there = {unicodedata.normalize("NFC", path) for path in files}
    there |= {"/".join(path.split("/")[:depth]) for path in there for depth in range(1, path.count("/") + 1)}
    broken = 0
    for line, target in links(source.body):
        path = posixpath.normpath(unicodedata.normalize("NFC", unquote(target.partition("#")[0].partition("?")[0])))
        if path in there or path == ".":
            continue
        broken += 1
        if broken > BROKEN_LINKS_MAX:
            return
        if path.startswith("../") or path == "..":
            yield _warning(source, "link-outside", source.body_line + line, f"the link {target!r} leaves the folder",
                           "copy the file into the folder: a skill travels alone")
        else:
            yield _warning(source, "link-missing", source.body_line + line, f"the link {target!r} leads to no file of the folder",
                           "add the file or correct the link")


def links(markdown: str) -> Iterator[tuple[int, str]]:
    """(row from 0, target) of each relative link or image, not inside of code and not to a place in the page itself."""
    fence = ""
    for number, row in enumerate(markdown.split("\n")):
        mark = _FENCE.match(row)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) and not row.strip(" `~") else fence
            continue
        if mark:
            fence = mark[1]
            continue
        bare = _CODE.sub("", row[:ROW_CHARACTERS_MAX])
        reference = _REFERENCE.match(bare)
        targets = [reference[1]] if reference else [found[1] if found[1] is not None else found[2] for found in _LINK.finditer(bare)]
        yield from ((number, target) for target in targets if target and not _ELSEWHERE.match(target))


def _contract(source: Source) -> Iterator[Finding]:
    """Habits of skill.toml that help matching. Members of a wrong type are the business of the compiler."""
    for member, what in (("examples", "example"), ("keywords", "keyword")):
        values = _texts(source.toml.get(member))
        seen: set[str] = set()
        for index, value in enumerate(values):
            folded = " ".join(value.casefold().split())
            if folded in seen:
                yield Finding("warning", f"{member}-repeated", TOML_FILE, source.toml_lines.line_of(member, index),
                              f"the {what} {value!r} stands here a second time", "remove it")
            seen.add(folded)
        if member == "keywords" and len(values) > KEYWORDS_MAX:
            yield Finding("warning", "keywords-many", TOML_FILE, source.toml_lines.line_of(member),
                          f"{len(values)} keywords; {KEYWORDS_MAX} at most are advised", "keep the words that people use when they ask for it")
    if not source.toml.get("examples"):
        yield Finding("warning", "examples-missing", TOML_FILE, source.toml_lines.line_of("examples"),
                      "there are no examples of tasks", "add examples = [\"...\"] in the words of those who will ask")


def _texts(value: Any) -> list[str]:
    """The texts of a list, nothing for anything else."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _rows(source: Source, files: Mapping[str, bytes]) -> list[str]:
    """The rows of the skill file; `skills.parse` has decoded it before."""
    return files[source.file].decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").split("\n")
