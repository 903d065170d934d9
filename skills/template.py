"""Templates: `{{input.rows[0].name}}` in any string of a JSON value stands for what a job knows when the step becomes ready.

Seen: `{{task}}`, `{{input...}}`, `{{steps.<id>.output...}}`, `{{job.id}}`; parts are `.name`, `.0` or `[0]`. Keys of objects are never templates.
A string that is one template keeps the JSON type of its value. Inside other text a string stands as it is, anything else as compact JSON.
An absent value is an error unless the reference ends in `?`: then it is null, or no text inside other text.
`{{{{` stands for a literal `{{`; `}}` outside a template stands for itself.
Rule: syntax is checked when a skill is compiled, so that only absent values can fail a running job.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

ROOTS = ("task", "input", "steps", "job")

_TOKEN = re.compile(r"\{\{\{\{|\{\{")
_REFERENCE = re.compile(r"\s*([A-Za-z_]\w*)((?:\.[^\s.\[\]{}?]+|\[[0-9]{1,9}\])*)(\?)?\s*")
_PART = re.compile(r"\.([^\s.\[\]{}?]+)|\[([0-9]{1,9})\]")
_INDEX = re.compile(r"[0-9]{1,9}")


class TemplateError(Exception):
    """A reference that cannot be read, or whose value is absent. `pointer` leads to the template (RFC 6901), `reference` is as written."""

    def __init__(self, pointer: str, reference: str, reason: str) -> None:
        super().__init__(f"{pointer or '/'}: {{{{{reference}}}}}: {reason}")
        self.pointer = pointer
        self.reference = reference
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Reference:
    """One `{{...}}`: `root` of ROOTS, `path` below it (an int part indexes only lists), the pointer to its string, and the text as written."""

    root: str
    path: tuple[str | int, ...]
    optional: bool
    pointer: str
    text: str
    quoted: bool = False

    @property
    def step(self) -> str | None:
        """The id of the step whose output is meant, or None."""
        return str(self.path[0]) if self.root == "steps" else None

    def find(self, view: Mapping[str, Any]) -> tuple[bool, Any]:
        """(True, the value) or (False, why it is absent), with the place where the path ends."""
        value: Any = view
        place = ""
        for part in (self.root, *self.path):
            index = part if isinstance(part, int) else int(part) if _INDEX.fullmatch(part) else None
            if isinstance(value, dict) and value.keys() == {"$artifact"} and part != "$artifact":
                return False, f"{place} is an artifact, whose content templates do not see"
            if isinstance(value, list) and index is not None:
                if index >= len(value):
                    return False, f"{place} has {len(value)} items, none at index {index}"
                value = value[index]
            elif isinstance(value, Mapping) and isinstance(part, str):
                if part not in value:
                    return False, f"{place} has no member {part!r}" if place else f"there is no {part}"
                value = value[part]
            else:
                return False, f"{place} is {_kind(value)}, which has no {'index' if isinstance(part, int) else 'member'} {part!r}"
            place = f"{place}[{part}]" if isinstance(part, int) else f"{place}.{part}".lstrip(".")
        return True, value

    def resolve(self, view: Mapping[str, Any]) -> Any:
        """The value in `view`; None for an absent optional one. Raises TemplateError."""
        found, value = self.find(view)
        if found:
            return value
        if self.optional:
            return None
        raise TemplateError(self.pointer, self.text, value)

    def text_in(self, view: Mapping[str, Any]) -> str:
        """The value as text inside other text. Raises TemplateError."""
        found, value = self.find(view)
        if not found:
            if not self.optional:
                raise TemplateError(self.pointer, self.text, value)
            return ""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return quote(text, safe="", errors="replace") if self.quoted else text


@dataclass(frozen=True, slots=True)
class Template:
    """One string with at least one reference: literal texts and references in order."""

    parts: tuple[str | Reference, ...]

    @staticmethod
    def compile(value: Any) -> CompiledValue:
        """Any JSON value with its templates read. Raises TemplateError with the pointer of a string that cannot be read."""
        references: list[Reference] = []
        return CompiledValue(_compiled(value, "", references), tuple(references))

    @staticmethod
    def compile_url(url: str, pointer: str = "") -> CompiledValue:
        """As `compile`, for a URL: a value embedded after the host is percent-encoded whole, so that it cannot add a path or a parameter."""
        parts: list[str | Reference] = []
        after_host = False
        for part in _parts(url, pointer):
            if isinstance(part, str):
                after_host = after_host or bool(re.search(r"[/?#]", part.replace("://", "", 1)))
                parts.append(part)
            else:
                parts.append(Reference(part.root, part.path, part.optional, pointer, part.text, quoted=after_host))
        references = tuple(part for part in parts if isinstance(part, Reference))
        return CompiledValue(Template(tuple(parts)) if references else "".join(map(str, parts)), references)

    def resolve(self, view: Mapping[str, Any]) -> Any:
        """The string with its references replaced, or the value itself when the string is one reference. Raises TemplateError."""
        first = self.parts[0]
        if len(self.parts) == 1 and isinstance(first, Reference):
            return first.resolve(view)
        return "".join(part if isinstance(part, str) else part.text_in(view) for part in self.parts)


@dataclass(frozen=True, slots=True)
class CompiledValue:
    """A JSON value whose strings with references are Templates; `references` lists them in the order of the value."""

    value: Any
    references: tuple[Reference, ...]

    def resolve(self, view: Mapping[str, Any]) -> Any:
        """The JSON value for `view`, which is `{"task", "input", "steps": {id: {"output": ...}}, "job": {"id"}}`.

        Values are shared with the view and with this object, never copied: nobody changes them. Raises TemplateError.
        """
        return _resolved(self.value, view) if self.references else self.value


def escaped(token: str) -> str:
    """A member name or index as a part of a JSON Pointer."""
    return token.replace("~", "~0").replace("/", "~1")


def _compiled(value: Any, pointer: str, references: list[Reference]) -> Any:
    if isinstance(value, str):
        if "{{" not in value:
            return value
        parts = tuple(_parts(value, pointer))
        found = [part for part in parts if isinstance(part, Reference)]
        references.extend(found)
        return Template(parts) if found else "".join(map(str, parts))
    if isinstance(value, dict):
        return {key: _compiled(item, f"{pointer}/{escaped(key)}", references) for key, item in value.items()}
    if isinstance(value, list):
        return [_compiled(item, f"{pointer}/{index}", references) for index, item in enumerate(value)]
    return value


def _resolved(value: Any, view: Mapping[str, Any]) -> Any:
    if isinstance(value, Template):
        return value.resolve(view)
    if isinstance(value, dict):
        return {key: _resolved(item, view) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, view) for item in value]
    return value


def _parts(text: str, pointer: str) -> Iterator[str | Reference]:
    """Literal texts (never empty) and references of one string."""
    literal: list[str] = []
    position = 0
    while token := _TOKEN.search(text, position):
        literal.append(text[position:token.start()])
        position = token.end()
        if token.group() == "{{{{":
            literal.append("{{")
            continue
        end = text.find("}}", position)
        if end < 0:
            raise TemplateError(pointer, text[position:position + 60], "the template has no end }}; a literal {{ is written {{{{")
        if any(literal):
            yield "".join(literal)
        literal.clear()
        yield _reference(text[position:end], pointer)
        position = end + 2
    if any(literal) or position < len(text):
        yield "".join(literal) + text[position:]


def _reference(text: str, pointer: str) -> Reference:
    match = _REFERENCE.fullmatch(text)
    if not match:
        raise TemplateError(pointer, text, "not a reference such as input.rows[0].name, steps.profile.output.rows, task or job.id")
    root, tail, mark = match.groups()
    path = tuple(int(index) if index else name for name, index in _PART.findall(tail))
    if root not in ROOTS:
        raise TemplateError(pointer, text, f"there is no {root!r}; a template sees task, input, steps.<id>.output and job.id")
    if root == "task" and path:
        raise TemplateError(pointer, text, "the task is text and has no members")
    if root == "job" and path != ("id",):
        raise TemplateError(pointer, text, "of the job a template sees job.id only")
    if root == "steps" and (len(path) < 2 or not isinstance(path[0], str) or path[1] != "output"):
        raise TemplateError(pointer, text, "of a step a template sees steps.<id>.output only")
    return Reference(root, path, bool(mark), pointer, text.strip())


def _kind(value: Any) -> str:
    """What a person calls the value's type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return {str: "a string", int: "a number", float: "a number", list: "a list"}.get(type(value), "an object")
