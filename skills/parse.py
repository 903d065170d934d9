"""Skill folders, read leniently: from the bytes of the files to a `Source`. What it means is the business of `skills.compile`.

Rule 1: what other tools load, loads here; each thing that was repaired or is outside the public format leaves a `Note` that says so.
Rule 2: what cannot be read in one sensible way only is refused with file, line and a reason; nothing is guessed.
Rule 3: pure; the caller reads the disk and bounds the number and bytes of the files. `skills.lint` judges strictly, from the notes and the rest.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skills.toml_lines import TomlLines
from skills.yaml import YamlError, load_mapping
from state.limits import KIB, MIB

SKILL_FILES = ("SKILL.md", "skill.md")      # the first that is there
TOML_FILE = "skill.toml"
FIELDS = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")     # of the public format
NAME_CHARACTERS_MAX = 64                    # the public format's own limits
DESCRIPTION_CHARACTERS_MAX = 1_024
SKILL_FILE_BYTES_MAX = 1 * MIB              # instructions for a model; a hundred times what the public format advises
TOML_BYTES_MAX = 256 * KIB                  # a contract of 256 steps takes a tenth of it; parsing that much takes under 0.1 s
FRONT_MATTER_CHARACTERS_MAX = 64 * KIB      # the largest public one has 3 KiB
REPAIRS_MAX = 16                            # values read as they stand; each costs a reading of the front matter

_ROW = re.compile(r"([A-Za-z][A-Za-z0-9_-]*):[ \t]+(.*[^ \t])[ \t]*")
_COMMENT = re.compile(r"[ \t]#(?=[ \t]|$)")
_TOOL = re.compile(r"(?:\([^()]*\)|[^\s,])+")       # `Bash(git add:*)` is one tool
_NOT_PROSE = re.compile(r"#|>|\||<|\[?!\[|\[[^\]]*\]:|(?:[-*_=][ \t]*){3,}$")
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class SkillError(Exception):
    """A folder that cannot be a skill. `line` is None where the reason is about the whole file; str() is `SKILL.md:3: reason`."""

    def __init__(self, file: str, line: int | None, reason: str) -> None:
        super().__init__(f"{file}: {reason}" if line is None else f"{file}:{line}: {reason}")
        self.file = file
        self.line = line
        self.reason = reason


@dataclass(frozen=True)
class Note:
    """Something that was repaired, or that is outside the public format. `code` is stable and kebab-case."""
    file: str
    line: int | None
    reason: str
    code: str


@dataclass(frozen=True)
class Source:
    """What the files of one skill folder say.

    `extra` holds the members of the front matter that the public format does not know, `toml` the whole skill.toml ({} without one);
    `lines` has the line of each member of the front matter, `body` begins in line `body_line` of `file`.
    """
    folder: str
    name: str
    description: str
    body: str
    license: str | None
    compatibility: str | None
    metadata: dict[str, str]
    allowed_tools: tuple[str, ...]
    extra: dict[str, Any]
    toml: dict[str, Any]
    toml_lines: TomlLines = field(compare=False, repr=False)
    has_toml: bool
    notes: tuple[Note, ...]
    file: str = "SKILL.md"
    lines: dict[str, int] = field(default_factory=dict)
    body_line: int = 1


def parse(folder: str, files: Mapping[str, bytes]) -> Source:
    """Read the folder named `folder` (no path) from its files (relative posix paths to bytes). Raises SkillError."""
    present = [name for name in SKILL_FILES if name in files]
    if not present:
        near = sorted(name for name in files if name.lower() == "skill.md")
        raise SkillError(SKILL_FILES[0], None, f"there is no SKILL.md; rename {near[0]}" if near else "there is no SKILL.md in this folder")
    notes: list[Note] = []
    if len(present) > 1:
        notes.append(Note("skill.md", None, "SKILL.md is read and this file is not; remove one of them", "two-skill-files"))
    text = _decoded(present[0], files[present[0]], SKILL_FILE_BYTES_MAX, notes)
    rows, first_line, body, body_line = _split(present[0], text, notes)
    front = _FrontMatter(present[0], rows, first_line, notes)
    name = front.name(folder)
    description = front.description(body)
    toml, toml_lines = _toml(files[TOML_FILE], notes) if TOML_FILE in files else ({}, TomlLines(""))
    return Source(
        folder=folder, name=name, description=description, body=body, license=front.text("license"), compatibility=front.text("compatibility"),
        metadata=front.metadata(), allowed_tools=front.allowed_tools(), extra=front.extra(), toml=toml, toml_lines=toml_lines,
        has_toml=TOML_FILE in files, notes=tuple(notes), file=present[0], lines=front.lines, body_line=body_line)


def _decoded(file: str, data: bytes, bytes_max: int, notes: list[Note]) -> str:
    """The text of a file with line feeds only and without a byte order mark."""
    if len(data) > bytes_max:
        raise SkillError(file, None, f"{len(data)} bytes; at most {bytes_max} are read")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        kind = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else f"not UTF-8: the byte 0x{data[error.start]:02X} does not belong there"
        raise SkillError(file, data.count(b"\n", 0, error.start) + 1, f"{kind}; save the file as UTF-8") from None
    if text.startswith("\ufeff"):
        notes.append(Note(file, 1, "begins with a byte order mark, which other tools do not skip", "byte-order-mark"))
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _split(file: str, text: str, notes: list[Note]) -> tuple[list[str], int, str, int]:
    """(rows of the front matter, line of the first of them, body, line where the body begins)."""
    rows = text.split("\n")
    opened = next((index for index, row in enumerate(rows) if row.strip()), 0)
    if rows[opened].rstrip(" \t") != "---":
        notes.append(Note(file, 1, "there is no front matter; it stands between two lines of three hyphens at the top", "front-matter-missing"))
        front, after = [], 0
    else:
        closed = next((index for index in range(opened + 1, len(rows)) if rows[index].rstrip(" \t") == "---"), None)
        if closed is None:
            raise SkillError(file, opened + 1, "the front matter is opened here and never closed; end it with a line of three hyphens")
        if opened:
            notes.append(Note(file, 1, "empty lines before the front matter; other tools want it in line 1", "text-before-front-matter"))
        front, after = rows[opened + 1:closed], closed + 1
    while after < len(rows) and not rows[after].strip():
        after += 1
    return front, opened + 2, "\n".join(rows[after:]).rstrip(), min(after, len(rows) - 1) + 1


class _FrontMatter:
    """The members of a front matter, read twice: `values` in the core schema, `texts` with every scalar as it is written."""

    def __init__(self, file: str, rows: list[str], first_line: int, notes: list[Note]) -> None:
        self.file = file
        self.notes = notes
        if sum(map(len, rows)) > FRONT_MATTER_CHARACTERS_MAX:
            raise SkillError(file, first_line, f"a front matter of more than {FRONT_MATTER_CHARACTERS_MAX} characters; move text into the body")
        for repairs_left in range(REPAIRS_MAX, -1, -1):
            text = "".join(f"{row}\n" for row in rows)
            try:
                self.values, self.lines = load_mapping(text, first_line)
                self.texts, _ = load_mapping(text, first_line, scalars_as_text=True)
                break
            except YamlError as error:
                index = error.line - first_line
                repaired = _as_it_stands(rows, index)
                if not repairs_left or repaired is None:
                    raise SkillError(file, error.line, error.reason) from None
                rows = [*rows[:index], repaired, *rows[index + 1:]]
                self.note("value-unquoted", error.line, f"not valid YAML: {error.reason}. It is read as the text up to the end of the line")

    def note(self, code: str, line: int | None, reason: str) -> None:
        """Keep a note on this file."""
        self.notes.append(Note(self.file, line, reason, code))

    def name(self, folder: str) -> str:
        """The skill's name: the front matter's own where it can be used, else the folder's."""
        given, line = self.texts.get("name", ""), self.lines.get("name")
        own = normal(folder)
        wanted = normal(given.strip()) if isinstance(given, str) else ""
        why = "is not text" if not isinstance(given, str) else unusable(wanted)
        if not why:
            if wanted != own:
                self.note("name-differs", line, f"the name {wanted!r} is not the folder's name {own!r}; {wanted!r} counts")
            return wanted
        said = f"the name {wanted!r} {why}" if given else "the front matter has no name"
        if unusable(own):
            raise SkillError(self.file, line, f"no usable name: {said}, and the folder's name {own!r} {unusable(own)}")
        self.note("name-unusable" if given else "name-missing", line, f"{said}; the folder's name {own!r} counts")
        return own

    def description(self, body: str) -> str:
        """What the skill is for: the front matter's words, else the first paragraph of the body."""
        given, line = self.texts.get("description", ""), self.lines.get("description")
        if not isinstance(given, str):
            raise SkillError(self.file, line, f"the description is a {_kind(given)}, not text; quote it, or put it below `description: >-`")
        if given.strip():
            if len(given.strip()) > DESCRIPTION_CHARACTERS_MAX:
                self.note("description-long", line, f"the description has {len(given.strip())} characters; "
                          f"the public format allows {DESCRIPTION_CHARACTERS_MAX}")
            return given.strip()
        if not body:
            raise SkillError(self.file, line, "there is neither a description nor a body: nothing says what this skill is for")
        self.note("description-missing", line, "there is no description; the first paragraph of the body stands for it")
        return first_paragraph(body)

    def text(self, key: str) -> str | None:
        """An optional member that is one text; a list or map of them is kept as JSON."""
        given = self.texts.get(key)
        if given is None or isinstance(given, str):
            return (given or "").strip() or None
        self.note("field-not-text", self.lines[key], f"{key} is a {_kind(given)}, not text; it is kept as JSON")
        return _json(given)

    def metadata(self) -> dict[str, str]:
        """The member `metadata`, its values as text."""
        given, line = self.texts.get("metadata", {}), self.lines.get("metadata")
        if not isinstance(given, dict):
            if given:
                self.note("metadata-not-map", line, f"metadata is a {_kind(given)}, not a map; it is kept beside the known members")
            return {}
        typed = self.values["metadata"] if given else {}
        for key, value in given.items():
            if not isinstance(value, str):
                self.note("metadata-nested", line, f"metadata.{key} is a {_kind(value)}; the public format has text only, so it is kept as JSON")
            elif not isinstance(typed[key], str):
                self.note("metadata-unquoted", line, f"metadata.{key} is taken as the text {value!r}; other tools may read it as another type")
        return {key: value if isinstance(value, str) else _json(value) for key, value in given.items()}

    def allowed_tools(self) -> tuple[str, ...]:
        """The member `allowed-tools`: one text with spaces in the public format, with commas or as a list in the wild."""
        given, line = self.texts.get("allowed-tools", ""), self.lines.get("allowed-tools")
        if isinstance(given, str):
            tools = _TOOL.findall(given)
            if "," in _TOOL.sub("", given):
                self.note("allowed-tools-commas", line, "allowed-tools has commas; the public format separates tools by spaces")
            return tuple(tools)
        if isinstance(given, dict) or not all(isinstance(tool, str) for tool in given):
            raise SkillError(self.file, line, "allowed-tools must name tools: one text, or a list of texts")
        self.note("allowed-tools-list", line, "allowed-tools is a list; the public format has one text with spaces")
        return tuple(tool.strip() for tool in given if tool.strip())

    def extra(self) -> dict[str, Any]:
        """What the public format does not know, with its types; a number that JSON cannot say stays text."""
        unknown = [key for key in self.values if key not in FIELDS]
        for key in unknown:
            self.note("field-unknown", self.lines[key], f"the public format has no member {key!r}; it is kept and not used")
        if self.values.get("metadata") and not isinstance(self.values["metadata"], dict):
            unknown.append("metadata")
        return {key: self.values[key] if _finite(self.values[key]) else self.texts[key] for key in unknown}


def normal(name: str) -> str:
    """A name as it is compared: file systems and editors write the same letters in more than one way."""
    return unicodedata.normalize("NFKC", name)


def unusable(name: str) -> str:
    """Why a name cannot name a skill, "" when it can. The public format is stricter, see `skills.lint`."""
    if not name:
        return "is empty"
    if len(name) > NAME_CHARACTERS_MAX:
        return f"has {len(name)} characters, {NAME_CHARACTERS_MAX} at most"
    odd = next((character for character in name if not (character.isalnum() or character in "-_.")), None)
    if odd is not None:
        return f"holds {odd!r}; it takes letters, digits, hyphens, dots and underscores"
    return "" if name[0].isalnum() else "does not begin with a letter or digit"


def first_paragraph(body: str) -> str:
    """The first paragraph of prose of a Markdown text that is not empty, in one line; where there is none, its first line."""
    found: list[str] = []
    fenced = False
    for row in body.split("\n"):
        bare = row.strip()
        fence = bare.startswith(("```", "~~~"))
        fenced ^= fence
        if bare and not fence and not fenced and not _NOT_PROSE.match(bare):
            found.append(bare)
        elif found:
            break
    text = " ".join(found) or body.split("\n", 1)[0].strip("#>|*-=` \t") or body.strip().split("\n", 1)[0]
    if len(text) <= DESCRIPTION_CHARACTERS_MAX:
        return text
    return text[:DESCRIPTION_CHARACTERS_MAX].rsplit(" ", 1)[0]


def _as_it_stands(rows: list[str], index: int) -> str | None:
    """The row `key: text` with its text quoted, where everybody would take it as one text; None where that would be a guess."""
    found = _ROW.fullmatch(rows[index]) if 0 <= index < len(rows) else None
    below = next((row for row in rows[index + 1:] if row.strip(" \t")), "")
    if found is None or below.startswith((" ", "\t")):
        return None
    key, text = found.groups()
    first = text[0]
    if first in "\"'|>&!?-" or _COMMENT.search(text) or (first == "*" and text[1:].replace("-", "").isalnum()):
        return None
    if first in "[{" and not _after_brackets(text):
        return None
    return f"{key}: {_json(text)}"


def _after_brackets(text: str) -> str:
    """What follows the brackets that the text begins with; "" where they do not close."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character in "[{") - (character in "]}")
        if not depth:
            return text[place + 1:]
    return ""


def _toml(data: bytes, notes: list[Note]) -> tuple[dict[str, Any], TomlLines]:
    """The contract of a skill and the lines of its members."""
    text = _decoded(TOML_FILE, data, TOML_BYTES_MAX, notes)
    try:
        return tomllib.loads(text), TomlLines(text)
    except RecursionError:
        raise SkillError(TOML_FILE, None, "cannot be read: nested too deeply") from None
    except ValueError as error:     # TOMLDecodeError, too many levels, and what Python says of a number with thousands of digits
        place = _TOML_PLACE.search(str(error))
        line = (int(place[1]) if place[1] else text.rstrip().count("\n") + 1) if place else None
        kind = "not valid TOML" if isinstance(error, tomllib.TOMLDecodeError) else "cannot be read"
        raise SkillError(TOML_FILE, line, f"{kind}: {_TOML_PLACE.sub('', str(error))}") from None


def _json(value: Any) -> str:
    """Texts, lists and maps as JSON."""
    return json.dumps(value, ensure_ascii=False)


def _kind(value: Any) -> str:
    """What a value of YAML is called."""
    return "map" if isinstance(value, dict) else "list" if isinstance(value, list) else "single value"


def _finite(value: Any) -> bool:
    """Whether JSON can say every number in the value."""
    if isinstance(value, (dict, list)):
        return all(map(_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)
