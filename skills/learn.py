"""Learning from feedback: which phrases would become examples, and `skill.toml` with them in it, every other byte as it was. Pure.

A phrase is a task in words for which the right skill is known: the one that ran, if somebody said that it was right, or the one that was named
instead. What a fallback took teaches nothing when it was right. Where people disagree about a text nothing is proposed. Two texts are the same if
matching reads the same words in them.
Rule: what is written is compiled before, and differs from what was there in its examples alone; else it is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from skills.bundle import SkillFile
from skills.compile import EXAMPLES_MAX, compile_skill
from skills.parse import TOML_FILE, SkillError, parse
from skills.toml_lines import TomlLines
from skills.words import cut
from state.records import Feedback

NONE = "none"                          # rule of a decision that no skill fits: the fallback took it
PHRASE_CHARACTERS_MAX = 500            # an example is a sentence; what is longer holds the data, too
INDENT = "    "                        # of the rows of an array that has none to copy

_SPACE = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*")
_SHORT = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")     # make a line look as it is not

Edit = tuple[int, str]                 # where, and what is put there


class Phrase(NamedTuple):
    """A text that is to be an example, and the jobs on which it was said."""

    text: str
    jobs: tuple[str, ...]


class Conflict(NamedTuple):
    """A text of which more than one thing was said. `skills` are those that it may be for."""

    text: str
    skills: tuple[str, ...]
    why: str
    jobs: tuple[str, ...]


class Skipped(NamedTuple):
    """A text that is known to be for a skill and cannot be an example of it."""

    text: str
    skill: str
    why: str
    jobs: tuple[str, ...]


class Lessons(NamedTuple):
    """What feedback teaches: phrases by skill, and what it does not."""

    phrases: dict[str, list[Phrase]]
    conflicts: list[Conflict]
    skipped: list[Skipped]


class _Heard:
    """All that was said of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.right: dict[str, None] = {}
        self.wrong: dict[str, None] = {}
        self.jobs: dict[str, None] = {}


def lessons(feedback: Iterable[Feedback], examples: Mapping[str, Sequence[str]]) -> Lessons:
    """What feedback, oldest first, teaches skills that have these examples."""
    found = Lessons({}, [], [])
    owners: dict[str, dict[str, None]] = {}
    for name, texts in examples.items():
        for text in texts:
            owners.setdefault(folded(text), {})[name] = None
    for words, heard in _heard(feedback).items():
        if not heard.right:
            continue
        skill, *others = heard.right
        jobs = tuple(heard.jobs)
        owned = owners.get(words, {})
        owner = next((name for name in owned if name != skill), None)
        if others or skill in heard.wrong:
            why = "people want different skills for it" if others else f"{skill} was said to be right and wrong for it"
            found.conflicts.append(Conflict(heard.text, tuple(sorted(heard.right)), why, jobs))
        elif owner is not None:
            found.conflicts.append(Conflict(heard.text, tuple(sorted((skill, owner))), f"it is an example of {owner}", jobs))
        elif skill not in owned:
            phrases = found.phrases.get(skill, [])
            why = _unfit(heard.text, words, len(examples[skill]) + len(phrases)) if skill in examples else "there is no such skill that compiles"
            if why:
                found.skipped.append(Skipped(heard.text, skill, why, jobs))
            else:
                found.phrases.setdefault(skill, phrases).append(Phrase(heard.text, jobs))
    return found


def folded(text: str) -> str:
    """The words of a text as matching compares them."""
    return " ".join(cut(text).words)


def _heard(feedback: Iterable[Feedback]) -> dict[str, _Heard]:
    """What was said, by the words of the text."""
    by_words: dict[str, _Heard] = {}
    for said in feedback:
        text = " ".join(said.task.split())
        if not text or (said.right and said.rule == NONE):
            continue                                   # a fallback takes what is nobody's: it is right, and teaches nothing
        heard = by_words.setdefault(folded(text), _Heard(text))
        heard.jobs[said.job] = None
        if said.right:
            heard.right[said.ran] = None
            continue
        heard.wrong[said.ran] = None
        if said.skill:
            heard.right[said.skill] = None
    return by_words


def _unfit(text: str, words: str, examples: int) -> str:
    """Why a text cannot be one more example, "" if it can."""
    if not words:
        return "it holds no words"
    if len(text) > PHRASE_CHARACTERS_MAX:
        return f"it has {len(text)} characters, an example takes {PHRASE_CHARACTERS_MAX}"
    return f"the skill has {EXAMPLES_MAX} examples, which is as many as it may have" if examples >= EXAMPLES_MAX else ""


# -- skill.toml ---------------------------------------------------------------------------------------------------------------------------


def taught(folder: str, files: Mapping[str, SkillFile], phrases: Sequence[str]) -> bytes:
    """The `skill.toml` of a skill with more examples. SkillError where the skill would not compile, or become another one than it is."""
    before = compile_skill(folder, files)
    old = files.get(TOML_FILE, SkillFile(b""))
    new = SkillFile(with_examples(old.data, phrases), old.executable)
    changed = {**files, TOML_FILE: new}
    after = compile_skill(folder, changed)
    was, is_ = ({**definition.document(), "examples": None, "bundle": None} for definition in (before, after))
    if after.examples != (*before.examples, *phrases) or was != is_ or _without_examples(folder, files) != _without_examples(folder, changed):
        raise SkillError(TOML_FILE, None, "the edit would change more than the examples; write them by hand")
    return new.data


def _without_examples(folder: str, files: Mapping[str, SkillFile]) -> dict[str, object]:
    toml = parse(folder, {path: file.data for path, file in files.items()}).toml
    return {name: value for name, value in toml.items() if name != "examples"}


def with_examples(data: bytes, phrases: Sequence[str]) -> bytes:
    """A `skill.toml` that can be read, with phrases put behind its examples. Every byte that was there is there, in its order."""
    text = data.decode()
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    body = text[len(mark):]
    plain = body.replace("\r\n", "\n").replace("\r", "\n")
    feed = "\r\n" if "\r\n" in body else "\n"
    places = [at for at, character in enumerate(body) if character != "\n" or body[at - 1:at] != "\r"]       # of the characters of `plain`
    places.append(len(body))
    for at, words in reversed(_edits(plain, [quoted(phrase) for phrase in phrases])):
        body = body[:places[at]] + words.replace("\n", feed) + body[places[at]:]
    return (mark + body).encode()


def quoted(text: str) -> str:
    """A basic string of TOML. What cannot be seen, or turns what stands beside it round, is escaped."""
    return '"' + "".join([_SHORT.get(character) or _shown(character) for character in text]) + '"'


def _shown(character: str) -> str:
    hidden = character in _TURNING or unicodedata.category(character) in ("Cc", "Zl", "Zp")
    return f"\\u{ord(character):04X}" if hidden else character


def _edits(plain: str, rows: list[str]) -> list[Edit]:
    """What to put where, in order."""
    lines = TomlLines(plain)
    span = lines.span_of("examples")
    if span is None:
        return [_new_array(plain, lines, rows)]
    items: list[tuple[int, int]] = []
    while (item := lines.span_of("examples", len(items))) is not None:
        items.append(item)
    start, close = span[0], span[1] - 1
    if not items:
        if "\n" not in plain[start:close]:
            return [(start + 1, ", ".join(rows))]
        return [(plain.rindex("\n", 0, close) + 1, "".join([f"{INDENT}{row},\n" for row in rows]))]
    last = items[-1][1]
    between = [start, *[edge for item in items for edge in item], close]
    one_line = not any("\n" in plain[a:b] for a, b in zip(between[::2], between[1::2], strict=True))
    comma = _SPACE.match(plain, last)
    assert comma is not None                   # it may match nothing
    settled = comma.end() + 1 if plain[comma.end()] == "," else None
    if one_line:
        return [(last, "".join([f", {row}" for row in rows]))] if settled is None else [(settled, "".join([f" {row}," for row in rows]))]
    end = plain.find("\n", settled or last, close)
    indent = _indent(plain, start, items[-1][0])
    text = ",".join([f"\n{indent}{row}" for row in rows])
    at = end if end >= 0 else settled or last
    return [(last, ","), (at, text)] if settled is None else [(at, text + ",")]


def _indent(plain: str, array: int, item: int) -> str:
    """What stands before an item of an array that has rows; INDENT where that is the name of the array."""
    row = plain.rfind("\n", 0, item) + 1
    before = plain[row:item]
    return before[:len(before) - len(before.lstrip(" \t"))] if row > array else INDENT


def _new_array(plain: str, lines: TomlLines, rows: list[str]) -> Edit:
    """An array behind the last member above the tables; where there is none, before the first table and the comment that is about it."""
    array = f"examples = [{rows[0]}]\n" if len(rows) == 1 else "".join(["examples = [\n", *[f"{INDENT}{row},\n" for row in rows], "]\n"])
    if lines.members_end:
        end = plain.find("\n", lines.members_end)
        return (end + 1, array) if end >= 0 else (len(plain), "\n" + array)
    if lines.tables_at == len(plain):
        return len(plain), array if plain.endswith("\n") or not plain else "\n" + array
    table = at = plain.rfind("\n", 0, lines.tables_at) + 1
    while at and plain[plain.rfind("\n", 0, at - 1) + 1:at].startswith("#"):
        at = plain.rfind("\n", 0, at - 1) + 1
    return at or table, array + "\n"
